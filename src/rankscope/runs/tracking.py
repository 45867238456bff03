"""A finished run in an experiment tracker: one run there for each model here."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from rankscope.errors import RankscopeError, StorageError, first_line
from rankscope.integrations import TrackedRun, Tracker, check_tracker, send_to_tracker
from rankscope.runs.scores import scores_of
from rankscope.tables import short_names

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rankscope.runs.run import Run
    from rankscope.statistics import Summary

PROJECT = "rankscope"


def log_run(run: Run, to: Tracker, *, project: str = PROJECT) -> None:
    """Logs a finished run to trackio, W&B or MLflow: a run for each model, named as the model.

    Its config has the settings, the model's revision and fingerprint, and the versions; its numbers are the summary's,
    under `DATA/LAYER/METRIC`; a table has the summary's rows, with intervals and counts. Where it goes is for the
    tracker's own settings to say (`TRACKIO_DIR`, `WANDB_MODE`, `MLFLOW_TRACKING_URI`). Logged twice, it is there twice.

    Args:
        run: finished.
        to: which tracker.
        project: the project there; MLflow's experiment.

    Raises:
        UnknownNameError: no such tracker.
        MissingExtraError: its library is not installed.
        RunFolderError: the run is not finished.
        StorageError: the tracker did not take it.

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
    except Exception as error:  # each tracker, and the server behind it, has errors of its own
        raise StorageError(
            f"{to} did not take the run: {first_line(error)}; it is kept in {run.place}, and can be logged later "
            f"with rankscope.log_run(rankscope.Run({str(run.place)!r}), {to!r})"
        ) from error


def _tracked(model: str, rows: Sequence[Summary], manifest: Mapping[str, Any], empty: TrackedRun) -> TrackedRun:
    identity = manifest["identity"]
    session = next(iter(manifest.get("sessions") or [{}]))
    entry: Mapping[str, Any] = next((one for one in identity["models"] if one["reference"] == model), {})
    settings = {name: value for name, value in identity["settings"].items() if value is not None}
    about = {"model": model, "revision": entry.get("revision"), "fingerprint": entry.get("fingerprint")}
    columns = list(dict.fromkeys(key for row in rows for key in row))
    return replace(
        empty,
        config=settings
        | {name: value for name, value in about.items() if value is not None}
        | {"data": ", ".join(one["name"] for one in identity["data"])}
        | {f"version_{name}": version for name, version in session.get("versions", {}).items()},
        numbers={f"{_place(row)}/{score.metric}": score.value for row in rows for score in scores_of(row)},
        columns=columns,
        rows=[[row.get(key) for key in columns] for row in rows],
    )


def _place(row: Summary) -> str:
    """Data set and layer, or control."""
    return f"{row['dataset']}/{row.get('layer') or row.get('control')}"
