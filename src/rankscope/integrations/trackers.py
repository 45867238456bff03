"""Sends finished results to an experiment tracker through its own library: trackio, W&B or MLflow."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Literal, get_args

from rankscope.errors import MissingExtraError, UnknownNameError

Tracker = Literal["trackio", "wandb", "mlflow"]


@dataclass(frozen=True)
class TrackedRun:
    """A run as it is sent to a tracker.

    Attributes:
        project: the project, or MLflow's experiment.
        name: of the run.
        config: settings, models, data and versions.
        numbers: by key, such as `stdlib-docs/last/effective_rank`.
        columns: of the table.
        rows: of the table, in the order of the columns.
    """

    project: str
    name: str
    config: Mapping[str, object] = field(default_factory=dict)
    numbers: Mapping[str, float] = field(default_factory=dict)
    columns: Sequence[str] = ()
    rows: Sequence[Sequence[object]] = ()


def check_tracker(to: str) -> None:
    """Checks that a tracker can be used.

    Raises:
        UnknownNameError: no such tracker.
        MissingExtraError: its library is not installed.
    """
    if to not in _TRACKERS:
        raise UnknownNameError("tracker", to, get_args(Tracker))
    if find_spec(to) is None:
        raise MissingExtraError(to, to)


def send_to_tracker(run: TrackedRun, to: Tracker) -> None:
    """Writes a run to wherever the tracker's own settings say: its server, or a local store.

    Raises:
        UnknownNameError: no such tracker.
        MissingExtraError: its library is not installed.
    """
    check_tracker(to)
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # advice meant for direct users of the library
        _TRACKERS[to](run)


def _to_trackio(run: TrackedRun) -> None:
    import trackio
    from pandas import DataFrame

    trackio.init(
        project=run.project,
        name=run.name,
        config=dict(run.config),
        embed=False,
        auto_log_cpu=False,
        auto_log_gpu=False,
    )
    try:
        trackio.log({**run.numbers, "summary": trackio.Table(dataframe=DataFrame(run.rows, columns=run.columns))})
    finally:
        trackio.finish()


def _to_wandb(run: TrackedRun) -> None:
    import wandb

    quiet = wandb.Settings(silent=True, console="off", x_disable_stats=True)
    with wandb.init(project=run.project, name=run.name, config=dict(run.config), settings=quiet) as opened:
        table = wandb.Table(columns=list(run.columns), data=[list(row) for row in run.rows])
        opened.log({**run.numbers, "summary": table})


def _to_mlflow(run: TrackedRun) -> None:
    import mlflow

    mlflow.set_experiment(run.project)
    with mlflow.start_run(run_name=run.name):
        mlflow.log_params(dict(run.config))
        mlflow.log_metrics({_key_of_mlflow(key): value for key, value in run.numbers.items()})
        columns = {name: [row[place] for row in run.rows] for place, name in enumerate(run.columns)}
        mlflow.log_dict(columns, "summary.json")


def _key_of_mlflow(key: str) -> str:
    """MLflow allows only letters, digits, spaces and a few punctuation marks in metric names."""
    return re.sub(r"[^\w .:/-]", "_", key, flags=re.ASCII)


_TRACKERS: Mapping[str, Callable[[TrackedRun], None]] = {
    "trackio": _to_trackio,
    "wandb": _to_wandb,
    "mlflow": _to_mlflow,
}
