"""Grouping checkpoints by training, and summaries of untrained twins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from rankscope.models import (
    ModelDescription,
    checkpoints_in,
    describe_model,
    parse_model_reference,
    pico_checkpoints,
    training_step,
    why_unfinished,
)
from rankscope.statistics import Summary, complete_texts, summarize
from rankscope.studies.sentences import short


@dataclass(frozen=True)
class Checkpoint:
    """A model reference and its training step, or None if the step is unknown."""

    model: str
    step: int | None


@dataclass(frozen=True)
class Training:
    """The checkpoints of one training in order, or a single model.

    Attributes:
        name: The common part of the checkpoints' references.
        architecture: Model type in transformers, with the name if another training has the same type.
        checkpoints: The checkpoints after step 0.
        description: Description of the last one.
    """

    name: str
    architecture: str
    checkpoints: tuple[Checkpoint, ...]
    description: ModelDescription

    @property
    def last(self) -> Checkpoint:
        """The last checkpoint."""
        return self.checkpoints[-1]


def trainings_of(models: Sequence[str], *, trust_remote_code: bool = False) -> list[Training]:
    """Groups model references by training; expands folders of checkpoints and models of the pico family.

    Args:
        models: Model references.
        trust_remote_code: As for `describe_model`.
    """
    found: dict[str, list[Checkpoint]] = {}
    for model in models:
        for one in _expanded(model):
            training = training_step(one)
            checkpoint = Checkpoint(one, None if training is None else training.step)
            if checkpoint.step != 0:
                found.setdefault(one if training is None else training.training, []).append(checkpoint)
    ordered = {
        name: tuple(sorted(dict.fromkeys(several), key=lambda one: (one.step is None, one.step or 0)))
        for name, several in found.items()
    }
    described = {
        name: describe_model(parse_model_reference(several[-1].model), trust_remote_code=trust_remote_code)
        for name, several in ordered.items()
    }
    kinds = [one.config.model_type for one in described.values()]
    return [
        Training(
            name,
            kind if kinds.count(kind) == 1 else f"{kind} ({short(name)})",
            ordered[name],
            described[name],
        )
        for name, kind in zip(ordered, kinds, strict=True)
    ]


def _expanded(model: str) -> tuple[str, ...]:
    """Same as `checkpoints_of`, without pico checkpoints that were trained beyond the model itself."""
    kept = pico_checkpoints(model)
    end = next((one.step for one in kept if one.name == model), None)
    return checkpoints_of(model) if end is None else tuple(one.name for one in kept if one.step <= end)


def twin_summaries(measurements: pl.DataFrame) -> list[Summary]:
    """One summary row per untrained twin, data set and layer, with its `seed`.

    Args:
        measurements: Measurements of one model and its twins.
    """
    rows: list[Summary] = []
    for _, of_layer in measurements.group_by("dataset", "layer", maintain_order=True):
        _, twins = complete_texts(of_layer)
        for twin in twins:
            (row,) = summarize(twin.with_columns(role=pl.lit("trained")))
            rows.append(row | {"seed": twin["seed"][0]})
    return rows


def checkpoints_of(model: str) -> tuple[str, ...]:
    """The checkpoints of a pico model or of a Trainer's output folder, ordered by step; otherwise the reference."""
    if kept := pico_checkpoints(model):
        return tuple(checkpoint.name for checkpoint in kept)
    folder = Path(model)
    found = checkpoints_in(folder)
    if not found.whole and not found.unfinished:
        return (model,)
    final = [model] if why_unfinished(folder) is None else []
    return (*(f"{model}@{name}" for name in found.whole), *final)


def unfinished_of(model: str) -> list[str]:
    """The checkpoints of a folder that `checkpoints_of` skips, with reasons."""
    return [f"{name} ({reason})" for name, reason in checkpoints_in(Path(model)).unfinished.items()]
