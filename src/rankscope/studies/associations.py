"""Correlations between columns of a study's table, over models, with intervals."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict

import numpy as np
import polars as pl

from rankscope.errors import ConstantMetricError
from rankscope.statistics import METHODS, Correlation, Method, correlation
from rankscope.studies.sentences import named

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


def correlation_sentences(found: pl.DataFrame, models: int) -> Iterator[str]:
    """Spearman's correlations in a sentence, and those with the controls held fixed in another."""
    spearman = found.filter(pl.col("method") == "spearman")
    if spearman.is_empty():
        yield f"With {models} models there is no correlation to speak of: at least {_FEWEST} are needed."
    for (given,), rows in spearman.group_by("given", maintain_order=True):
        parts = [
            f"{named(row['metric'])} {row['value']:+.2f}"
            + (f" ({row['low']:+.2f} to {row['high']:+.2f})" if row["low"] is not None else "")
            for row in rows.rows(named=True)
        ]
        number, few = rows["models"].to_list()[0], rows["low"].null_count() > 0
        held = f" with {named(str(given))} held fixed" if given else ""
        yield (
            f"Spearman's correlation with {named(rows['target'].to_list()[0])}{held} over {number} models: "
            f"{', '.join(parts)}."
            + (" Fewer than five models: no interval can be given, and nothing concluded." if few else "")
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
    try:
        return correlation(x, y, method, controls=held)
    except ConstantMetricError:
        return None
