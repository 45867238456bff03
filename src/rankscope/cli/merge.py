"""`rankscope merge`: one run from the folders of its shards."""

from __future__ import annotations

import sys
from typing import Annotated

from cyclopts import Parameter

from rankscope.cli.terminal import fail_where_nothing_was_measured, print_json, progress_on_stderr, quieten_libraries


def merge(
    runs: Annotated[list[str], Parameter(name="RUN_DIR", negative="")],
    /,
    *,
    output: str,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Join the shards of a run and summarise it: the numbers are the same as from one process.

    Fails if a batch is missing, belongs to another run, or occurs twice with different numbers.

    For example:

        rankscope merge runs/part-0 runs/part-1 --output runs/whole

    Args:
        runs: Folders or addresses of the shards; a single one if all shards wrote to the same place.
        output: Folder or address of the merged run; may be one of RUN_DIR.
        json: Print only the summary, as JSON, on standard output.
    """
    quieten_libraries()
    from rankscope.reports import print_alignment, print_notes, print_summary
    from rankscope.runs import merge as merge_runs

    with progress_on_stderr() as progress:
        run = merge_runs(runs, output, progress)
    if json:
        print_json(run.summary_document(), sys.stdout)
    elif run.kind == "alignment":
        print_alignment(run.summary_rows(), sys.stdout)
    else:
        print_summary(run.summary_rows(), sys.stdout)
        print_notes(run.notes(), sys.stdout)
    fail_where_nothing_was_measured(run)
