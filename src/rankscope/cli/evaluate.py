"""`rankscope evaluate`: the main command."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Annotated, Literal

from cyclopts import Parameter

from rankscope.cli.terminal import (
    fail_where_nothing_was_measured,
    print_json,
    progress_on_stderr,
    quieten_libraries,
)
from rankscope.errors import SettingsError
from rankscope.execution import Execution
from rankscope.settings import Settings


@dataclass(frozen=True)
class Results:
    """Where results go.

    Attributes:
        output: Folder for results, or s3://BUCKET/FOLDER. Default: a folder under runs/, named after models, data and
            settings.
        json: Print only the summary, as JSON, on standard output.
        log_to: Also log the summary to an experiment tracker, one run per model.
        log_project: The tracker's project, or MLflow's experiment.
    """

    output: str | None = None
    json: Annotated[bool, Parameter(negative="")] = False
    log_to: Literal["trackio", "wandb", "mlflow"] | None = None
    log_project: str = "rankscope"


def evaluate(
    models: Annotated[list[str], Parameter(name="MODEL", negative="")],
    /,
    *,
    data: Annotated[list[str], Parameter(negative="")],
    results: Annotated[Results, Parameter(name="*")] = Results(),
    execution: Annotated[Execution, Parameter(name="*")] = Execution(),  # noqa: B008 (frozen)
    settings: Annotated[Settings, Parameter(name="*")] = Settings(),  # noqa: B008 (frozen)
) -> None:
    """Measure models on texts: effective rank, entropy and norms of hidden states, loss, untrained twin.

    Run the same command again to resume an interrupted run.

    For example:

        rankscope evaluate facebook/opt-125m --data dolly-15k --limit 500
        rankscope evaluate facebook/opt-125m --data dolly-15k --engine ray
        rankscope evaluate facebook/opt-125m --data dolly-15k --log-to trackio --log-project opt

    Args:
        models: Hub id, folder or .gguf file, each with optional @revision.
        data: A catalogue name (rankscope list datasets), NAME=PATH[,PATH], a file, a folder or a hub id.
        results: Where results go.
        execution: Where and how to run.
        settings: What to measure.
    """
    _check_tracker(results, execution)
    quieten_libraries()
    from rankscope.reports import print_notes, print_summary
    from rankscope.runs import evaluate as run_evaluation
    from rankscope.runs import log_run

    with progress_on_stderr() as progress:
        run = run_evaluation(
            models, data, output=results.output, settings=settings, progress=progress, execution=execution
        )
    if execution.shard is not None:
        return
    if results.json:
        print_json(run.summary_document(), sys.stdout)
    else:
        print_summary(run.summary_rows(), sys.stdout)
        print_notes(run.notes(), sys.stdout)
        used = run.manifest()["identity"]["settings"]
        print(f"\nmeasured in {used['dtype']} on {used['device']}, saved to {run.place}")
    fail_where_nothing_was_measured(run)
    if results.log_to is not None:
        log_run(run, results.log_to, project=results.log_project)
        print(f"logged to {results.log_to}, project {results.log_project}", file=sys.stderr)


def _check_tracker(results: Results, execution: Execution) -> None:
    """Checks the call before anything is measured."""
    if results.log_to is None:
        return
    from rankscope.integrations import check_tracker

    check_tracker(results.log_to)
    if execution.shard is not None:
        raise SettingsError("a shard is only part of a run: omit log-to, merge the shards, then use log_run")
