"""Logs a finished run to an experiment tracker, as one tracker run per model."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from rankscope.errors import RankscopeError, StorageError, first_line
from rankscope.integrations import TrackedRun, Tracker, check_tracker, send_to_tracker
from rankscope.runs.scores import scores_of
from rankscope.runs.session import first_session
from rankscope.tables import short_names

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rankscope.runs.run import Run
    from rankscope.statistics import Summary

PROJECT = "rankscope"


def log_run(run: Run, to: Tracker, *, project: str = PROJECT) -> None:
    """Logs a finished run to trackio, W&B or MLflow, as one run per model, named after the model.

    The config contains the settings, the model's revision and fingerprint, and the versions. The numbers are those of
    the summary, as `DATA/LAYER/METRIC`. A table contains the summary's rows, with intervals and counts. The destination
    is set by the tracker's own variables (`TRACKIO_DIR`, `WANDB_MODE`, `MLFLOW_TRACKING_URI`). Logging a run twice
    creates it twice.

    Args:
        run: A finished run.
        to: The tracker.
        project: The project in the tracker; the experiment in MLflow.

    Raises:
        UnknownNameError: there is no such tracker.
        MissingExtraError: the tracker's library is not installed.
        RunFolderError: the run is not finished.
        StorageError: the tracker did not accept the run.

    Example:
        >>> import rankscope as rs
        >>> rs.log_run(rs.Run("runs/mine"), to="trackio", project="pico")  # doctest: +SKIP
    """
    check_tracker(to)
    rows, manifest = run.summary_rows(), run.manifest()
    try:
        for model, name in short_names(row["model"] for row in rows).items():
            of_model = [row for row in rows if row["model"] == model]
            send_to_tracker(_tracked(model, of_model, manifest, TrackedRun(project, name)), to)
    except RankscopeError:
        raise
    except Exception as error:  # each tracker and its server have their own errors
        raise StorageError(
            f"{to} did not accept the run: {first_line(error)}; it is saved in {run.place}, and can be logged later "
            f"with rankscope.log_run(rankscope.Run({str(run.place)!r}), {to!r})"
        ) from error


def _tracked(model: str, rows: Sequence[Summary], manifest: Mapping[str, Any], empty: TrackedRun) -> TrackedRun:
    identity = manifest["identity"]
    entry: Mapping[str, Any] = next((one for one in identity["models"] if one["reference"] == model), {})
    settings = {name: value for name, value in identity["settings"].items() if value is not None}
    about = {"model": model, "revision": entry.get("revision"), "fingerprint": entry.get("fingerprint")}
    columns = list(dict.fromkeys(key for row in rows for key in row))
    return replace(
        empty,
        config=settings
        | {name: value for name, value in about.items() if value is not None}
        | {"data": ", ".join(one["name"] for one in identity["data"])}
        | {f"version_{name}": version for name, version in first_session(manifest).get("versions", {}).items()},
        numbers={f"{_place(row)}/{score.metric}": score.value for row in rows for score in scores_of(row)},
        columns=columns,
        rows=[[row.get(key) for key in columns] for row in rows],
    )


def _place(row: Summary) -> str:
    """Data set and layer, or control."""
    return f"{row['dataset']}/{row.get('layer') or row.get('control')}"
