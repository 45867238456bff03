"""Correlations between columns of a study's table, over models, with intervals."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict

import polars as pl

from rankscope.statistics import FEWEST_FOR_INTERVAL, LOGARITHMIC, associations, fewest_models
from rankscope.studies.sentences import at, by_group_and_layer
from rankscope.tables import said


def correlations(table: pl.DataFrame, metrics: Sequence[str], target: str, held: Sequence[str] = ()) -> pl.DataFrame:
    """Pearson, Spearman and Kendall of each metric with the target, if defined (`statistics.associations`)."""
    models = table.rows(named=True)
    given = ", ".join(f"log_{name}" if name in LOGARITHMIC else name for name in held) or None
    rows = [
        {"metric": metric, "target": target, "given": given} | asdict(found)
        for metric in metrics
        if metric != target
        for found in associations(models, metric, target, held)
    ]
    return pl.DataFrame(rows, schema=_SCHEMA)


def correlated(
    table: pl.DataFrame, by: str, metrics: Sequence[str], target: str, controls: Sequence[Sequence[str]] = ((),)
) -> tuple[pl.DataFrame, list[str]]:
    """Correlations within each value of a column and each layer, for each set of controls, with sentences.

    If no correlation is defined, the sentence appears once, for the first set of controls.
    """
    parts: list[pl.DataFrame] = []
    sentences: list[str] = []
    for (value,), layer, rows in by_group_and_layer(table, by):
        found = [correlations(rows, metrics, target, held) for held in controls]
        parts += [one.with_columns(pl.lit(value).alias(by), layer=pl.lit(layer)) for one in found]
        told = len(found) if any(one.height for one in found) else 1
        for one, held in zip(found[:told], controls, strict=False):
            sentences += [f"{value}{at(layer)}: {text}" for text in correlation_sentences(one, rows.height, held)]
    return pl.concat(parts), sentences


def correlation_sentences(found: pl.DataFrame, models: int, held: Sequence[str] = ()) -> Iterator[str]:
    """Sentences on Spearman's correlations, one per number of models with both values, or why there are none.

    Args:
        found: The result of `correlations`, with `held` fixed.
        models: The number of models.
        held: The variables held fixed.
    """
    fixed = f" with {' and '.join(map(said, held))} held fixed" if held else ""
    spearman = found.filter(pl.col("method") == "spearman")
    fewest = fewest_models(len(held))
    if spearman.is_empty():
        yield (
            f"{models} models are too few for a correlation{fixed}: at least {fewest} are needed."
            if models < fewest
            else f"No correlation{fixed} is defined over {models} models: fewer than {fewest} have both values, or "
            "they are constant."
        )
    for (number,), rows in spearman.group_by("models", maintain_order=True):
        parts = [
            f"{said(row['metric'])} {row['value']:+.2f}"
            + (f" ({row['low']:+.2f} to {row['high']:+.2f})" if row["low"] is not None else "")
            for row in rows.rows(named=True)
        ]
        few = not held and int(str(number)) < FEWEST_FOR_INTERVAL
        yield (
            f"Spearman's correlation with {said(rows['target'].to_list()[0])}{fixed} over {number} models: "
            f"{', '.join(parts)}."
            + (" With fewer than five models there is no interval, and no conclusion can be drawn." if few else "")
        )


_SCHEMA = {
    "metric": pl.String,
    "target": pl.String,
    "given": pl.String,
    "method": pl.String,
    "value": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "models": pl.Int64,
    "controls": pl.Int64,
}
