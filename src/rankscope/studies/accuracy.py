"""Accuracy columns for studies, from lm-evaluation-harness; stored per model and task."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any

import polars as pl
from scipy import stats

from rankscope.errors import SettingsError
from rankscope.file_digests import default_digest_cache
from rankscope.integrations import Accuracy, TaskReference, accuracies, harness_version, parse_task_reference
from rankscope.models import (
    ModelDescription,
    Placement,
    describe_model,
    load_model,
    parse_model_reference,
    resolve_device,
)
from rankscope.names import utf8
from rankscope.runs import Storage, storage_of
from rankscope.studies.conditions import folder_name
from rankscope.studies.study import Request

NONE = ("none",)
_SCHEMA = {"model": pl.String, "task": pl.String, "items": pl.Int64} | dict.fromkeys(
    ("accuracy", "accuracy_low", "accuracy_high"), pl.Float64
)


def measure_accuracy(request: Request, models: Sequence[str], default: Sequence[str]) -> pl.DataFrame:
    """Accuracy of each model on each task, with Wilson's 95 % interval over items.

    Args:
        request: The request; its tasks replace the default ones.
        models: Model references; each is loaded once, and only if one of its results is missing.
        default: Default task references.
    """
    tasks = [parse_task_reference(task) for task in _tasks(request, default)]
    if len({task.name for task in tasks}) < len(tasks):
        raise SettingsError(f"duplicate task in {', '.join(task.name for task in tasks)}: list each task once")
    rows = [
        _row(model, accuracy) for model in (models if tasks else ()) for accuracy in _of_model(request, model, tasks)
    ]
    return pl.DataFrame(rows, schema=_SCHEMA)


def accuracy_in_words(request: Request, default: Sequence[str]) -> str | None:
    """Describes the accuracy that a study measures in addition to evaluations; None without tasks."""
    return "accuracy (--tasks none skips it)" if _tasks(request, default) else None


def _tasks(request: Request, default: Sequence[str]) -> Sequence[str]:
    given = request.options.tasks
    return default if given is None else given if given != NONE else ()


def with_accuracy(table: pl.DataFrame, accuracy: pl.DataFrame, *, per_dataset: bool) -> pl.DataFrame:
    """Adds accuracy: on the task named like the row's data set, or the mean over tasks (without an interval)."""
    if accuracy.is_empty():
        return table
    if per_dataset:
        return table.join(
            accuracy.rename({"task": "dataset"}), on=["model", "dataset"], how="left", maintain_order="left"
        )
    mean = accuracy.group_by("model").agg(pl.col("accuracy").mean())
    return table.join(mean, on="model", how="left", maintain_order="left")


def _of_model(request: Request, model: str, tasks: Sequence[TaskReference]) -> list[Accuracy]:
    settings = request.settings
    reference = parse_model_reference(model)
    description = describe_model(reference, trust_remote_code=settings.trust_remote_code)
    placement = Placement(settings.dtype, resolve_device(settings.device)).of(description.config)
    files = {task.name: f"accuracy/{folder_name(model)}_{task.name}.json" for task in tasks}
    storage = storage_of(request.folder)
    identities = {task.name: _identity(description, placement, task, settings.limit) for task in tasks}
    found = {name: _kept(storage, file, identities[name]) for name, file in files.items()}
    missing = [task for task in tasks if found[task.name] is None]
    if missing:
        request.progress.say(f"{reference.label}: loading weights for {', '.join(task.name for task in missing)}")
        network = load_model(description, placement)
        for task in missing:
            request.progress.say(f"{reference.label}: accuracy on {task.name}")
            (accuracy,) = accuracies(network, description.tokenizer, [task], limit=settings.limit)
            _keep(storage, files[task.name], identities[task.name], accuracy)
            found[task.name] = accuracy
    return [accuracy for accuracy in found.values() if accuracy is not None]


def _identity(
    description: ModelDescription, placement: Placement, task: TaskReference, limit: int | None
) -> dict[str, Any]:
    return {
        "fingerprint": description.fingerprint,
        "dtype": placement.dtype,
        "device": placement.device,
        "task": task.name,
        "files": default_digest_cache().digests(_inside(task.files)),
        "limit": limit,
        "versions": {"lm_eval": harness_version()}
        | {name: metadata.version(name) for name in ("torch", "transformers", "tokenizers")},
    }


def _inside(paths: Sequence[Path]) -> list[Path]:
    """The files, with each folder replaced by the files in it."""
    return [file for path in paths for file in (sorted(path.rglob("*")) if path.is_dir() else [path]) if file.is_file()]


def _kept(storage: Storage, file: str, identity: dict[str, Any]) -> Accuracy | None:
    written = storage.read(file)
    if written is None:
        return None
    content = json.loads(written)
    return Accuracy(**content["accuracy"]) if content["identity"] == identity else None


def _keep(storage: Storage, file: str, identity: dict[str, Any], accuracy: Accuracy) -> None:
    text = json.dumps({"identity": identity, "accuracy": asdict(accuracy)}, indent=2) + "\n"
    storage.write(file, utf8(text))


def _row(model: str, accuracy: Accuracy) -> dict[str, object]:
    right = round(accuracy.accuracy * accuracy.items)
    interval = stats.binomtest(right, accuracy.items).proportion_ci(method="wilson")
    return {
        "model": model,
        "task": accuracy.task,
        "items": accuracy.items,
        "accuracy": accuracy.accuracy,
        "accuracy_low": float(interval.low),
        "accuracy_high": float(interval.high),
    }
