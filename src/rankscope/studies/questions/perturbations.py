"""Texts with their words or tokens shuffled, reversed, or both."""

from __future__ import annotations

from typing import Any, get_args

import polars as pl

from rankscope.settings import Perturbation
from rankscope.studies.conditions import Cells, Condition, Grid, measure, with_differences, with_published
from rankscope.studies.published import printed
from rankscope.studies.study import Figure, Findings, Request, Study
from rankscope.tables import said

_METRICS = ("matrix_entropy", "matrix_nuclear_norm", "loss")
BASE = "base"
_ROUNDING = 1e-5  # nats: the effect of summation order in float32


_SETTINGS = {"layers": "0,last", "untrained_seeds": 0}
GRID = Grid(
    tuple(
        Condition(name, _SETTINGS | {"perturbation": None if name == BASE else name}, {"condition": name})
        for name in (BASE, *get_args(Perturbation))
    )
)


def conduct(request: Request) -> Findings:
    """Evaluates the original texts and six reorderings, at the embeddings and at the last layer."""
    measured = measure(request, GRID)
    table = with_differences(measured.table, measured.runs, BASE, _METRICS)
    return Findings(with_published(table, _published), tuple(_sentences(table)), measured.notes)


def _published(row: dict[str, Any]) -> Cells:
    if (row["dataset"], row["condition"], row["layer"]) != ("dolly-15k", BASE, "last"):
        return {}
    return {"matrix_nuclear_norm": printed("mnn.figure3", row["model"], BASE)}


def _sentences(table: pl.DataFrame) -> list[str]:
    found = []
    for (model, dataset, layer), rows in table.group_by("model", "dataset", "layer", maintain_order=True):
        moved = (
            rows.drop_nulls("matrix_entropy_difference")
            if "matrix_entropy_difference" in rows.columns
            else rows.clear()
        )
        where = "the embeddings" if layer == "0" else "the last layer"
        parts = [_moved(row) for row in moved.rows(named=True)]
        if parts:
            found.append(
                f"{model} on {dataset}, {said('matrix_entropy')} at {where} compared with the base: {'; '.join(parts)}."
            )
    found.append(
        "Reordering tokens permutes the rows of the embeddings, which does not change their spectrum unless positions "
        "are added. Reversing a shuffled order gives another shuffled order: both conditions measure the same thing."
    )
    return found


def _moved(row: dict[str, Any]) -> str:
    difference, low, high = (row[f"matrix_entropy_difference{end}"] for end in ("", "_low", "_high"))
    if max(abs(low), abs(high)) < _ROUNDING:
        return f"{row['condition']} unchanged"
    return f"{row['condition']} {difference:+.4f} ({low:+.4f} to {high:+.4f})"


STUDY = Study(
    name="perturbations",
    question="What changes when the order of words or tokens is destroyed?",
    source="Matrix Nuclear-Norm, figure 3",
    models=("cerebras/Cerebras-GPT-1.3B", "cerebras/Cerebras-GPT-2.7B", "cerebras/Cerebras-GPT-6.7B"),
    data=("dolly-15k",),
    columns=(
        "dataset",
        "model",
        "layer",
        "condition",
        "texts",
        "matrix_entropy",
        "matrix_entropy_difference",
        "matrix_nuclear_norm",
        "loss",
    ),
    figure=Figure(x="condition", metrics=_METRICS, series="model", panels_by="layer", is_ordered=False),
    conduct=conduct,
    grids=lambda _: (GRID,),
    decides=("perturbation", "layers", "untrained_seeds"),
    published=("mnn.figure3",),
)
