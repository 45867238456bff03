"""The metrics against text length, with the curve for isotropic noise."""

from __future__ import annotations

from typing import Any

import polars as pl

from rankscope.errors import SettingsError
from rankscope.models import describe_model, parse_model_reference
from rankscope.studies.conditions import (
    Cells,
    Condition,
    Grid,
    distinct_notes,
    folder_name,
    measure,
    with_noise,
    with_published,
)
from rankscope.studies.published import printed
from rankscope.studies.sentences import at, by_group_and_layer
from rankscope.studies.study import Figure, Findings, Request, Study

LENGTHS = (64, 128, 256, 512, 1024)
_METRICS = ("effective_rank", "normalized_matrix_entropy", "matrix_nuclear_norm")


def conduct(request: Request) -> Findings:
    """Measures all texts in windows of each length that fits the model's positions."""
    positions = _positions(request)
    measured = [measure(request, grid) for grid in grids(request)]
    everything = pl.concat([one.table for one in measured], how="diagonal_relaxed")
    table = everything.filter(pl.col("texts") > 0)
    table = with_published(with_noise(table, _METRICS, "length"), _published)
    table = table.with_columns(
        over_noise=pl.col("matrix_nuclear_norm").cast(pl.Float64) / pl.col("matrix_nuclear_norm_noise")
    )
    table = table.sort("dataset", "family", "parameters", "model", "length", maintain_order=True)
    return Findings(
        table, tuple(_sentences(table, everything, positions)), distinct_notes(one.notes for one in measured)
    )


def grids(request: Request) -> list[Grid]:
    """One grid per model, with the windows that fit its positions.

    Raises:
        SettingsError: no model has enough positions.
    """
    found = []
    for model, longest in _positions(request).items():
        conditions = tuple(
            Condition(f"{folder_name(model)}-{length}", {"window": length, "untrained_seeds": 0}, {"length": length})
            for length in LENGTHS
            if longest is None or longest >= length
        )
        if conditions:
            found.append(Grid(conditions, (model,)))
    if not found:
        raise SettingsError(f"no model has enough positions for {LENGTHS[0]} tokens: {', '.join(request.models)}")
    return found


def _positions(request: Request) -> dict[str, int | None]:
    trust = request.settings.trust_remote_code
    return {
        model: describe_model(parse_model_reference(model), trust_remote_code=trust).positions
        for model in request.models
    }


def _published(row: dict[str, Any]) -> Cells:
    return {"matrix_nuclear_norm": printed("mnn.table13", row["model"], str(row["length"]))}


def _sentences(table: pl.DataFrame, everything: pl.DataFrame, positions: dict[str, int | None]) -> list[str]:
    found = []
    for (model, dataset), layer, rows in by_group_and_layer(table.drop_nulls(_METRICS), "model", "dataset"):
        first, last = rows.row(0, named=True), rows.row(-1, named=True)
        if first["length"] < last["length"]:
            moves = {
                name: f"from {first[name]:.{digits}f} to {last[name]:.{digits}f}"
                for name, digits in (
                    ("effective_rank", 2),
                    ("matrix_nuclear_norm", 4),
                    ("matrix_nuclear_norm_noise", 4),
                )
            }
            found.append(
                f"{model} on {dataset}{at(layer)}, {first['length']} to {last['length']} tokens: eRank changes "
                f"{moves['effective_rank']}, MNN {moves['matrix_nuclear_norm']}; for noise, MNN changes "
                f"{moves['matrix_nuclear_norm_noise']}."
            )
    empty = everything.filter(pl.col("texts") == 0)
    found += [
        f"{row['dataset']} has no text of {row['length']} tokens for {row['model']}." for row in empty.rows(named=True)
    ]
    short = {model: longest for model, longest in positions.items() if longest is not None and longest < LENGTHS[-1]}
    found += [f"{model} has {longest} positions: longer windows were skipped." for model, longest in short.items()]
    return found


STUDY = Study(
    name="lengths",
    question="How much of a metric is explained by length alone?",
    source="Matrix Nuclear-Norm, table 13",
    models=("family:cerebras-gpt",),
    data=("openwebtext2",),
    columns=(
        "dataset",
        "model",
        "length",
        "texts",
        *(name for metric in _METRICS for name in (metric, f"{metric}_noise")),
        "over_noise",
    ),
    figure=Figure(x="length", metrics=_METRICS, series="model", log_x=True, panels_by="dataset"),
    conduct=conduct,
    grids=grids,
    decides=("window", "untrained_seeds", "drop_tokens"),
    published=("mnn.table13",),
)
