"""`rankscope evaluate`: the main command."""

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
from rankscope.settings import Settings


def evaluate(
    models: Annotated[list[str], Parameter(name="MODEL", negative="")],
    /,
    *,
    data: Annotated[list[str], Parameter(negative="")],
    output: str | None = None,
    json: Annotated[bool, Parameter(negative="")] = False,
    execution: Annotated[Execution, Parameter(name="*")] = Execution(),  # noqa: B008 (frozen)
    settings: Annotated[Settings, Parameter(name="*")] = Settings(),  # noqa: B008 (frozen)
) -> None:
    """Measure models on texts: effective rank, entropy and norms of hidden states, loss, untrained twin.

    Run the same command again to resume an interrupted run.

    For example:

        rankscope evaluate facebook/opt-125m --data dolly-15k --limit 500
        rankscope evaluate facebook/opt-125m --data dolly-15k --engine ray

    Args:
        models: Hub id, folder or .gguf file, each with optional @revision.
        data: A catalogue name (rankscope list datasets), NAME=PATH[,PATH], a file, a folder or a hub id.
        output: Folder for results, or s3://BUCKET/FOLDER. Default: a folder under runs/, named after models, data and
            settings.
        json: Print only the summary, as JSON, on standard output.
        execution: Where and how to run.
        settings: What to measure.
    """
    quieten_libraries()
    from rankscope.reports import print_notes, print_summary
    from rankscope.runs import evaluate as run_evaluation

    with progress_on_stderr() as progress:
        run = run_evaluation(models, data, output=output, settings=settings, progress=progress, execution=execution)
    if execution.shard is not None:
        return
    if json:
        print_json(run.summary_document(), sys.stdout)
        fail_where_nothing_was_measured(run)
        return
    print_summary(run.summary_rows(), sys.stdout)
    print_notes(run.notes(), sys.stdout)
    used = run.manifest()["identity"]["settings"]
    print(f"\nmeasured in {used['dtype']} on {used['device']}, saved to {run.place}")
    fail_where_nothing_was_measured(run)
