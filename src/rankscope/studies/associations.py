"""Correlations between columns of a study's table, over models, with intervals."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict

import numpy as np
import polars as pl

from rankscope.statistics import FEWEST_MODELS, METHODS, Correlation, Method, defined_correlation
from rankscope.studies.sentences import at, by_group_and_layer
from rankscope.tables import said

_FEWEST = 3


def correlations(
    table: pl.DataFrame, metrics: Sequence[str], target: str, controls: Sequence[str] = ()
) -> pl.DataFrame:
    """Pearson, Spearman and Kendall of each metric with the target, over rows that have both.

    Pairs of which one is the same for all models, or wholly explained by the controls, are left out, and so are
    pairs of fewer than three rows more than controls.
    """
    rows = [
        {"metric": metric, "target": target, "given": ", ".join(controls) or None} | asdict(found)
        for metric in metrics
        if metric != target and {metric, target} <= set(table.columns)
        for method in METHODS
        if (found := _correlation(table.drop_nulls([metric, target, *controls]), metric, target, method, controls))
    ]
    return pl.DataFrame(rows, schema=_SCHEMA)


def correlated(
    table: pl.DataFrame, by: str, metrics: Sequence[str], target: str, controls: Sequence[Sequence[str]] = ((),)
) -> tuple[pl.DataFrame, list[str]]:
    """Correlations within each value of a column and each layer, for each set of controls, and what they say."""
    parts: list[pl.DataFrame] = []
    sentences: list[str] = []
    for (value,), layer, rows in by_group_and_layer(table, by):
        found = pl.concat([correlations(rows, metrics, target, held) for held in controls])
        parts.append(found.with_columns(pl.lit(value).alias(by), layer=pl.lit(layer)))
        sentences += [f"{value}{at(layer)}: {text}" for text in correlation_sentences(found, rows.height)]
    return pl.concat(parts), sentences


def correlation_sentences(found: pl.DataFrame, models: int) -> Iterator[str]:
    """Spearman's correlations in a sentence, and those with the controls held fixed in another."""
    spearman = found.filter(pl.col("method") == "spearman")
    if spearman.is_empty():
        yield (
            f"With {models} models there is no correlation to speak of: at least {_FEWEST} are needed."
            if models < _FEWEST
            else f"Over {models} models nothing correlates: fewer than {_FEWEST} have both, or all have the same."
        )
    for (given, number), rows in spearman.group_by("given", "models", maintain_order=True):
        parts = [
            f"{said(row['metric'])} {row['value']:+.2f}"
            + (f" ({row['low']:+.2f} to {row['high']:+.2f})" if row["low"] is not None else "")
            for row in rows.rows(named=True)
        ]
        few = int(str(number)) - rows["controls"].to_list()[0] < FEWEST_MODELS
        held, beyond = (f" with {said(str(given))} held fixed", " beyond what is held fixed") if given else ("", "")
        yield (
            f"Spearman's correlation with {said(rows['target'].to_list()[0])}{held} over {number} models: "
            f"{', '.join(parts)}."
            + (f" Fewer than five models{beyond}: no interval can be given, and nothing concluded." if few else "")
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


def _correlation(
    rows: pl.DataFrame, metric: str, target: str, method: Method, controls: Sequence[str]
) -> Correlation | None:
    if rows.height - len(controls) < _FEWEST:
        return None
    held = rows.select(controls).to_numpy().astype(np.float64) if controls else None
    x, y = (rows[name].to_numpy().astype(np.float64) for name in (metric, target))
    return defined_correlation(x, y, method, controls=held)
