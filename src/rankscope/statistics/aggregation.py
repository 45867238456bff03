"""Summarises measurements of texts as one row for each model, data set and layer, with intervals and nulls.

All aggregates of a row are functions of means over its texts. A single function computes aggregates from means: from
the means themselves for the values, and from the means of bootstrap samples for the intervals.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache

import numpy as np
import polars as pl

from rankscope.metrics import Metric, noise_value
from rankscope.metrics import table as metrics_table
from rankscope.statistics.bootstrap import Numbers, percentile_interval, resampled_means
from rankscope.statistics.pooled import of_pooled

Summary = dict[str, str | int | float | None]

FEWEST_TEXTS_FOR_AN_INTERVAL = 2
_FIRST = (
    "effective_rank",
    "matrix_entropy",
    "normalized_matrix_entropy",
    "matrix_nuclear_norm",
    "rotated_matrix_nuclear_norm",
)
"""The first metrics of a summary; all others follow in the order of the table of metrics."""

_WITH_TWINS = (
    "effective_rank_untrained",
    "diff_erank",
    "diff_erank_b",
    "erank_ratio",
    "untrained_loss",
    "reduced_loss",
)


def summarize(measurements: pl.DataFrame) -> list[Summary]:
    """One row for each model x data set x layer, in the order of the measurements.

    A text counts only if it was measured for every role and seed, so all means of a row are over the same texts.
    Values that were not requested, or have no texts, are None.
    """
    keys = ["model", "dataset", "layer"]
    return [_summarize_layer(rows) for _, rows in measurements.group_by(keys, maintain_order=True)]


def with_initializers(
    rows: Sequence[Summary], initializers: Mapping[str, Mapping[str, float | str | None]]
) -> list[Summary]:
    """Adds the initialisation of each model's untrained twins to the rows of a summary.

    Args:
        rows: Rows of a summary.
        initializers: `initializer_range` and `initializer_source` by model. The rows of a model that is listed here
            but has no twins get 0 for `untrained_seeds` and None for all values that depend on twins.
    """
    return [_with_initializer(row, initializers.get(str(row["model"]))) for row in rows]


def _with_initializer(row: Summary, initializer: Mapping[str, float | str | None] | None) -> Summary:
    if initializer is None:
        return row
    absent: Summary = {} if "untrained_seeds" in row else {"untrained_seeds": 0, **dict.fromkeys(_WITH_TWINS)}
    return row | absent | dict(initializer)


def _summarize_layer(rows: pl.DataFrame) -> Summary:
    trained, twins = complete_texts(rows)
    seeds = len(twins)
    columns = _columns(trained, twins)
    summary: Summary = {
        "model": rows["model"][0],
        "dataset": rows["dataset"][0],
        "layer": rows["layer"][0],
        "texts": trained.height,
        "skipped": rows["text_index"].n_unique() - trained.height,
        "cut": _count_cut(trained),
        "tokens": int(trained["n_tokens"].sum()),
        "hidden_size": trained["hidden_size"].first(),  # type: ignore[dict-item]
        **dict.fromkeys(_always()),
    }
    if seeds:
        summary |= {"untrained_seeds": seeds, **dict.fromkeys(_WITH_TWINS)}
    if columns:
        summary |= _values_and_intervals(columns, seeds)
    return summary | of_pooled(trained, twins)


def summary_metrics() -> list[Metric]:
    """All metrics in the order of a summary."""
    places = {name: place for place, name in enumerate(_FIRST)}
    return sorted(metrics_table.METRICS, key=lambda metric: places.get(metric.name, len(places)))


def _averaged() -> list[str]:
    """Names of the metrics whose value is their mean over texts."""
    return [metric.name for metric in summary_metrics() if metric.exponential_of is None]


def _exponentials() -> dict[str, str]:
    """Metrics whose value is the exponential of another metric's mean, with the name of that metric."""
    return {metric.name: metric.exponential_of for metric in summary_metrics() if metric.exponential_of is not None}


def _always() -> Iterator[str]:
    """The keys that every summary has, even if they were not measured."""
    for metric in summary_metrics():
        if metric.default:
            yield metric.name
            if metric.exponential_of is not None:
                yield f"{metric.name}_b"
    yield "perplexity"


def _count_cut(trained: pl.DataFrame) -> int | None:
    """Number of texts that were cut; None for older measurements, which do not record it."""
    known = "cut" in trained.columns and not trained["cut"].null_count()
    return int(trained["cut"].sum()) if known else None


def complete_texts(rows: pl.DataFrame) -> tuple[pl.DataFrame, list[pl.DataFrame]]:
    """The rows of texts measured for every role and seed: those of the trained model, and a table for each twin."""
    seeds = rows.filter(pl.col("role") == "untrained")["seed"].n_unique()
    usable = rows.filter(pl.col("status") == "ok")
    complete = usable.group_by("text_index").len().filter(pl.col("len") == 1 + seeds)
    usable = usable.join(complete, on="text_index", how="semi").sort("text_index")
    twins = usable.filter(pl.col("role") == "untrained").group_by("seed", maintain_order=True)
    return usable.filter(pl.col("role") == "trained"), [twin for _, twin in sorted(twins, key=lambda pair: pair[0])]


def _columns(trained: pl.DataFrame, twins: list[pl.DataFrame]) -> dict[str, Numbers]:
    """The columns to average over texts, each (texts,); names of twins' columns end in `/` and the twin's index."""
    columns: dict[str, Numbers] = {}
    for suffix, frame in [("", trained), *((f"/{place}", twin) for place, twin in enumerate(twins))]:
        for name in _averaged() if not suffix else ("matrix_entropy", "loss"):
            if not frame[name].is_empty() and not frame[name].null_count():
                columns[name + suffix] = frame[name].to_numpy().astype(np.float64)
        for name, base in _exponentials().items():
            if base + suffix in columns:
                columns[name + suffix] = np.exp(columns[base + suffix])
    return columns | _against_noise(trained, twins)


def _aggregates(means: dict[str, Numbers], seeds: int) -> dict[str, Numbers]:
    """Computes aggregates from means over texts; `diff_erank` and its terms by both algorithms."""
    found = {name: means[name] for name in means if name in _averaged() or name.endswith("_over_noise")}
    if "loss" in means:
        with np.errstate(over="ignore"):
            found["perplexity"] = np.exp(means["loss"])
    for name, base in _exponentials().items():
        if base in means:
            found |= {name: np.exp(means[base]), f"{name}_b": means[name]}
    if seeds and "matrix_entropy/0" in means:
        of_a = np.mean([np.exp(means[f"matrix_entropy/{place}"]) for place in range(seeds)], axis=0)
        of_b = np.mean([means[f"effective_rank/{place}"] for place in range(seeds)], axis=0)
        found |= {"effective_rank_untrained": of_a, "diff_erank": of_a - found["effective_rank"]}
        found["erank_ratio"] = found["effective_rank"] / of_a
        found["diff_erank_b"] = of_b - found["effective_rank_b"]
    if seeds and "loss/0" in means:
        found["untrained_loss"] = np.mean([means[f"loss/{place}"] for place in range(seeds)], axis=0)
        found["reduced_loss"] = found["untrained_loss"] - found["loss"]
    return found


def _values_and_intervals(columns: dict[str, Numbers], seeds: int) -> Summary:
    table = np.column_stack(list(columns.values()))
    values = _aggregates(dict(zip(columns, table.mean(axis=0), strict=True)), seeds)
    found: Summary = {name: None if np.isinf(value) else float(value) for name, value in values.items()}
    if len(table) >= FEWEST_TEXTS_FOR_AN_INTERVAL:
        samples = resampled_means(table, rng=np.random.default_rng(0))
        spread = _aggregates(dict(zip(columns, samples.T, strict=True)), seeds)
        for name, sample in spread.items():
            # The perplexity of a loss above 709 nats overflows; its ends are None.
            ends = (None, None) if np.isinf(sample).any() else percentile_interval(sample)
            found[f"{name}_low"], found[f"{name}_high"] = ends
        if seeds >= 2 and "diff_erank" in spread:
            found |= _share_of_seeds(columns, seeds, float(np.var(spread["diff_erank"])))
    return found


def _share_of_seeds(columns: dict[str, Numbers], seeds: int, variance_of_texts: float) -> Summary:
    """Spread of the untrained effective rank over seeds, and its share of Diff-eRank's squared error."""
    ranks = [float(np.exp(columns[f"matrix_entropy/{place}"].mean())) for place in range(seeds)]
    variance = float(np.var(ranks, ddof=1))
    of_mean = variance / seeds
    total = of_mean + variance_of_texts
    return {
        "effective_rank_untrained_sd": variance**0.5,
        "diff_erank_seed_share": of_mean / total if total > 0 else 0.0,
    }


def _against_noise(trained: pl.DataFrame, twins: list[pl.DataFrame]) -> dict[str, Numbers]:
    """Ratios of metrics to isotropic noise of the same shape, per text; of effective rank, also the mean over twins."""
    ratios = {f"{metric}_over_noise": [over_noise(trained, metric)] for metric in metrics_table.metrics_with_a_null()}
    ratios["effective_rank_untrained_over_noise"] = [over_noise(twin, "effective_rank") for twin in twins]
    return {
        name: np.mean([one.to_numpy() for one in found], axis=0)
        for name, found in ratios.items()
        if found and not any(one.is_empty() or one.null_count() for one in found)
    }


def over_noise(rows: pl.DataFrame, metric: str) -> pl.Series:
    """A metric divided by its null, per text; None if the text has no value, or too few tokens for a null."""

    @cache
    def null(tokens: int, hidden_size: int) -> float | None:
        return noise_value(metric, tokens, hidden_size) if tokens >= 3 and hidden_size >= 2 else None

    shapes = zip(rows["n_tokens"], rows["hidden_size"], rows[metric], strict=True)
    ratios = [
        value / noise if value is not None and size is not None and (noise := null(tokens, size)) else None
        for tokens, size, value in shapes
    ]
    return pl.Series(f"{metric}_over_noise", ratios, dtype=pl.Float64)
