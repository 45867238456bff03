"""`rankscope evaluate`: the main job."""

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
from rankscope.settings import Settings


def evaluate(
    models: Annotated[list[str], Parameter(name="MODEL", negative="")],
    /,
    *,
    data: Annotated[list[str], Parameter(negative="")],
    output: str | None = None,
    shard: str | None = None,
    json: Annotated[bool, Parameter(negative="")] = False,
    settings: Annotated[Settings, Parameter(name="*")] = Settings(),  # noqa: B008 (frozen)
) -> None:
    """Measure models on texts: effective rank, entropy and norms of hidden states, loss, untrained twin.

    The same command again completes a run that was interrupted.

    For example:
        rankscope evaluate facebook/opt-125m --data dolly-15k --limit 500

    Args:
        models: Hub id, folder or .gguf file, each with optional @revision.
        data: A catalogue name (rankscope list datasets), NAME=PATH[,PATH], a file, a folder or a hub id.
        output: The run's folder, or s3://BUCKET/FOLDER. Left out: a folder under runs/, named by what is asked for.
        shard: Measure one piece of the run only: i/n, from 0/n to n-1/n, or auto in a Slurm array.
        json: Print the summary as JSON, and nothing else, on standard output.
        settings: What to do.
    """
    quieten_libraries()
    from rankscope.reports import print_notes, print_summary
    from rankscope.runs import evaluate as run_evaluation

    with progress_on_stderr() as progress:
        run = run_evaluation(models, data, output=output, settings=settings, progress=progress, shard=shard)
    if shard is not None:
        return
    if json:
        print_json(run.summary_document(), sys.stdout)
        fail_where_nothing_was_measured(run)
        return
    print_summary(run.summary_rows(), sys.stdout)
    print_notes(run.notes(), sys.stdout)
    used = run.manifest()["identity"]["settings"]
    print(f"\nmeasured in {used['dtype']} on {used['device']}, kept in {run.place}")
    fail_where_nothing_was_measured(run)
