"""Differences between two measurements of one network on the same texts."""

from __future__ import annotations

import math

import numpy as np
import polars as pl

from rankscope.statistics import PairedDifference, paired_difference
from rankscope.statistics.bootstrap import Numbers


def values_of(measured: pl.DataFrame, metric: str, layer: str = "last") -> pl.DataFrame:
    """A metric of each text at one layer: columns `text_id` and `value`."""
    return measured.filter(pl.col("layer") == layer).select("text_id", value=pl.col(metric))


def on_common_texts(base: pl.DataFrame, other: pl.DataFrame) -> tuple[Numbers, Numbers]:
    """Values of the common texts, in the same order."""
    both = base.join(other, on="text_id", suffix="_other", how="inner", maintain_order="left").drop_nulls()
    return both["value"].to_numpy(), both["value_other"].to_numpy()


def change_of(base: pl.DataFrame, other: pl.DataFrame, metric: str, layer: str = "last") -> PairedDifference:
    """The paired difference other minus base of a metric, over their common texts."""
    before, after = on_common_texts(values_of(base, metric, layer), values_of(other, metric, layer))
    return paired_difference(after, before)


def in_standard_errors(base: pl.DataFrame, other: pl.DataFrame, metric: str, layer: str = "last") -> float | None:
    """The absolute mean change divided by its standard error; None if all texts change by the same amount."""
    before, after = on_common_texts(values_of(base, metric, layer), values_of(other, metric, layer))
    spread = float(np.std(after - before, ddof=1)) / math.sqrt(len(before))
    return abs(float(np.mean(after - before))) / spread if spread > 0 else None


def effective_rank_of(measured: pl.DataFrame, layer: str = "last") -> float:
    """The exponential of the mean matrix entropy, as in summaries."""
    return math.exp(float(measured.filter(pl.col("layer") == layer)["matrix_entropy"].mean()))  # type: ignore[arg-type]
