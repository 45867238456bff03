"""Correlations of spectral metrics with the loss within and across trainings, and their share before training."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl

from rankscope.statistics import METHODS, Correlation, associations, share_explained, within_groups

METRICS = ("effective_rank", "normalized_matrix_entropy", "matrix_nuclear_norm")
BETWEEN = (*METRICS, "diff_erank")
"""Across trainings, Diff-eRank is added; within a training, it is eRank minus a constant."""
ALL, TRAINED = "all, architecture held fixed", "trained, architecture held fixed"
ALONE = ", trained"
"""Suffix of an architecture's name for its trained checkpoints only."""
END = "the end"
_IS_TRAINED = pl.col("step").fill_null(1) > 0

CORRELATIONS = {
    "where": pl.String,
    "metric": pl.String,
    "method": pl.String,
    "value": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "points": pl.Int64,
}
SHARES = {
    "where": pl.String,
    "metric": pl.String,
    "architectures": pl.Int64,
    "untrained_deviation": pl.Float64,
    "seed_deviation": pl.Float64,
    "trained_deviation": pl.Float64,
    "pearson": pl.Float64,
    "explained": pl.Float64,
    "explained_low": pl.Float64,
    "explained_high": pl.Float64,
}


def correlations_with_loss(rows: pl.DataFrame, loss: str) -> pl.DataFrame:
    """Correlations of each metric with the loss over the checkpoints of trainings.

    Args:
        rows: One row per `architecture` and `step`, for one data set and layer; step 0 is untrained.
        loss: The column to correlate with.

    Returns:
        One row per `where`, metric and method. `where` is one of the following: an architecture (over its steps); all
        architectures, with the architecture held fixed; either of these without step 0; a step that all architectures
        have (over architectures); `the end`, if their last steps differ.
    """
    found = []
    for metric in METRICS:
        used = rows.drop_nulls([loss, metric])
        trained = used.filter(_IS_TRAINED)
        for (architecture,), points in used.group_by("architecture", maintain_order=True):
            found += _rows(str(architecture), metric, points, loss)
            found += _rows(f"{architecture}{ALONE}", metric, points.filter(_IS_TRAINED), loss)
        for where, points in ((ALL, used), (TRAINED, trained)):
            for method in METHODS:
                columns = (points[metric].to_numpy(), points[loss].to_numpy(), points["architecture"].to_list())
                if points["architecture"].n_unique() < points.height and (one := within_groups(*columns, method)):
                    found.append(_row(where, metric, one))
    for where, points in across(rows):
        for metric in BETWEEN:
            found += _rows(where, metric, points, loss)
    return pl.DataFrame(found, schema=CORRELATIONS)


def across(rows: pl.DataFrame) -> Iterator[tuple[str, pl.DataFrame]]:
    """One trained row per architecture: at each step that all have, and at the end if their last steps differ."""
    trained = rows.filter(_IS_TRAINED)
    count = rows["architecture"].n_unique()
    for (step,), points in trained.drop_nulls("step").sort("step").group_by("step", maintain_order=True):
        if points["architecture"].n_unique() == count:
            yield f"step {step:,}", points
    ends = trained.group_by("architecture", maintain_order=True).last()
    if ends["step"].null_count() or ends["step"].n_unique() > 1:
        yield END, ends.select(trained.columns)


def initialisation(rows: pl.DataFrame, twins: pl.DataFrame) -> pl.DataFrame:
    """How much of the variance between architectures exists before training.

    Args:
        rows: As for `correlations_with_loss`.
        twins: One row per `architecture` and `seed` of the untrained networks, for the same data set and layer.

    Returns:
        For each result of `across` and each metric: the standard deviation between untrained architectures, between
        seeds of one architecture, and between trained architectures; Pearson's correlation of the untrained and the
        trained values; and the share of the trained values' variance explained by a linear fit on the untrained
        values. For Diff-eRank, the untrained values are those of eRank.
    """
    found = []
    for where, points in across(rows):
        for metric in BETWEEN:
            base = "effective_rank" if metric == "diff_erank" else metric
            if base in points.columns and metric in points.columns:
                found += _share(where, metric, points, twins.select("architecture", pl.col(base).alias("untrained")))
    return pl.DataFrame(found, schema=SHARES)


def _share(where: str, metric: str, points: pl.DataFrame, twins: pl.DataFrame) -> list[dict[str, object]]:
    means = twins.drop_nulls().group_by("architecture").agg(pl.col("untrained").mean())
    both = points.drop_nulls(metric).join(means, on="architecture", maintain_order="left")
    if both.height < 2:
        return []
    untrained, trained = both["untrained"].to_numpy(), both[metric].to_numpy()
    variances = twins.group_by("architecture").agg(pl.col("untrained").var())["untrained"].drop_nulls().to_numpy()
    share = share_explained(untrained, trained)
    return [
        {
            "where": where,
            "metric": metric,
            "architectures": both.height,
            "untrained_deviation": float(np.std(untrained, ddof=1)),
            "seed_deviation": float(np.sqrt(variances.mean())) if len(variances) else None,
            "trained_deviation": float(np.std(trained, ddof=1)),
            "pearson": None if share is None else share.correlation,
            "explained": None if share is None else share.value,
            "explained_low": None if share is None else share.low,
            "explained_high": None if share is None else share.high,
        }
    ]


def _rows(where: str, metric: str, points: pl.DataFrame, loss: str) -> list[dict[str, object]]:
    return [_row(where, metric, one) for one in associations(points.rows(named=True), metric, loss)]


def _row(where: str, metric: str, one: Correlation) -> dict[str, object]:
    return {
        "where": where,
        "metric": metric,
        "method": one.method,
        "value": one.value,
        "low": one.low,
        "high": one.high,
        "points": one.models,
    }
