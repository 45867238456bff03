"""`rankscope align`: image-text alignment in a vision-language model."""

from __future__ import annotations

import sys
from typing import Annotated

from cyclopts import Parameter

from rankscope.cli.terminal import (
    fail_where_nothing_was_measured,
    print_json,
    progress_on_stderr,
    quieten_libraries,
)
from rankscope.execution import Execution
from rankscope.settings import AlignmentSettings


def align(
    models: Annotated[list[str], Parameter(name="MODEL", negative="")],
    /,
    *,
    data: Annotated[list[str], Parameter(negative="")],
    output: str | None = None,
    json: Annotated[bool, Parameter(negative="")] = False,
    execution: Annotated[Execution, Parameter(name="*")] = Execution(),  # noqa: B008 (frozen)
    settings: Annotated[AlignmentSettings, Parameter(name="*")] = AlignmentSettings(),  # noqa: B008 (frozen)
) -> None:
    """Measure how vision-language models represent images and text: eRank1 to eRank5, reduction, alignment, MIR.

    Run the same command again to resume an interrupted run.

    For example:

        rankscope align llava-hf/llava-1.5-7b-hf --data pairs.jsonl --control rotated-90,shuffled

    Args:
        models: Hub id or folder, each with optional @revision; pico-vlm; or minigpt-v2=LLAMA,EVA.pth,CHECKPOINT.pth.
        data: A file with image, instruction and response fields, a folder of images, a hub id, or drawn-scenes.
        output: Folder for results, or s3://BUCKET/FOLDER. Default: a folder under runs/, named after models, data and
            settings.
        json: Print only the summary, as JSON, on standard output.
        execution: Where and how to run.
        settings: What to measure.
    """
    quieten_libraries()
    from rankscope.reports import print_alignment
    from rankscope.runs import align as run_alignment

    with progress_on_stderr() as progress:
        run = run_alignment(models, data, output=output, settings=settings, progress=progress, execution=execution)
    if execution.shard is not None:
        return
    if json:
        print_json(run.summary_document(), sys.stdout)
        fail_where_nothing_was_measured(run)
        return
    print_alignment(run.summary_rows(), sys.stdout)
    print(f"\nsaved to {run.place}")
    fail_where_nothing_was_measured(run)
