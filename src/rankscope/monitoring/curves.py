"""Measurements of a model by step, and tidy rows that compare them with earlier steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from rankscope.metrics import metric_named
from rankscope.statistics import POOLED, pooled_metrics
from rankscope.statistics.bootstrap import Numbers, bootstrap_interval, percentile_interval, resampled_means

ACROSS = "matrix_entropy_change"
_FEWEST_VECTORS = 3
_COLUMNS = {
    "step": pl.Int64,
    "layer": pl.String,
    "metric": pl.String,
    "texts": pl.Int64,
    **{f"{what}{end}": pl.Float64 for what in ("value", "from_first", "from_last") for end in ("", "_low", "_high")},
}
"""Columns of a value, of its interval over texts, and of its differences from other steps."""


@dataclass(frozen=True)
class Measurement:
    """The measurement of a model at one step.

    Attributes:
        step: of the training.
        texts: positions of the texts that could be measured at every layer.
        columns: by layer and metric, a number for each of these texts.
        pooled: by layer and metric, a number for the whole probe.
        fault: the problem with the model's hidden states, if they could not be measured.
    """

    step: int
    texts: tuple[int, ...]
    columns: Mapping[tuple[str, str], Numbers]
    pooled: Mapping[tuple[str, str], float]
    fault: str | None = None

    @classmethod
    def of(
        cls, step: int, rows: Sequence[Mapping[str, object]], layers: Sequence[str], fault: str | None
    ) -> Measurement:
        """Builds a measurement from one row per text and layer."""
        usable = {(row["text_index"], row["layer"]): row for row in rows if row["status"] == "ok"}
        indices = sorted({int(str(text)) for text, _ in usable})
        texts = tuple(text for text in indices if all((text, layer) in usable for layer in layers))
        if not texts:
            skipped = next((str(row["reason"]) for row in rows), None)
            return cls(step, (), {}, {}, fault or f"no text of the probe has a spectrum ({skipped})")
        columns: dict[tuple[str, str], Numbers] = {}
        pooled: dict[tuple[str, str], float] = {}
        for place, layer in enumerate(layers):
            here = [usable[text, layer] for text in texts]
            for name, value in here[0].items():
                if isinstance(value, float):
                    columns[layer, name] = np.array([row[name] for row in here], dtype=np.float64)
            if place and (layer, "matrix_entropy") in columns:
                change = columns[layer, "matrix_entropy"] - columns[layers[place - 1], "matrix_entropy"]
                columns[layer, ACROSS] = change
            pooled |= {(layer, name): value for name, value in _of_the_probe(here).items()}
        return cls(step, texts, columns, pooled, fault)

    @property
    def layers(self) -> list[str]:
        """The measured layers, in order."""
        return list(dict.fromkeys(layer for layer, _ in self.columns))

    def fall_of_loss(self, first: Measurement) -> tuple[float, float] | None:
        """How far the probe's loss is below that of another measurement, as an interval over their common texts."""
        place = next(((layer, "loss") for layer in self.layers if (layer, "loss") in self.columns), None)
        if place is None or self.texts != first.texts or place not in first.columns:
            return None
        return bootstrap_interval(first.columns[place] - self.columns[place])

    def value(self, layer: str, metric: str) -> float | None:
        """One number over texts: the mean, or the metric computed from a mean."""
        if metric in POOLED:
            return self.pooled.get((layer, metric))
        column, exponential = self.column(layer, metric)
        return None if column is None else float(np.exp(column.mean()) if exponential else column.mean())

    def column(self, layer: str, metric: str) -> tuple[Numbers | None, bool]:
        """The values that are averaged over texts, and whether the metric is the exponential of that mean."""
        base = None if metric == ACROSS else metric_named(metric).exponential_of
        return self.columns.get((layer, base or metric)), base is not None

    def metrics(self, asked: Sequence[str]) -> list[tuple[str, str]]:
        """The available layers and metrics, in order."""
        names = [name for name in (*asked, ACROSS) if name != "matrix_entropy" or name in asked]
        found = [(layer, name) for layer in self.layers for name in dict.fromkeys(names)]
        found = [one for one in found if self.column(*one)[0] is not None]
        return [*found, *self.pooled]


def _of_the_probe(rows: Sequence[Mapping[str, object]]) -> dict[str, float]:
    """Metrics of one vector per text; empty if there are too few."""
    vectors = [vector for row in rows if isinstance(vector := row.get("pooled"), list)]
    if len(vectors) < _FEWEST_VECTORS:
        return {}
    return {name: value for name, value in pooled_metrics(vectors).items() if value is not None}


def tidy_rows(one: Measurement | None, before: Sequence[Measurement], asked: Sequence[str] | None) -> pl.DataFrame:
    """A row for each layer and metric of a measurement, with the first and the previous measurement."""
    rows: list[dict[str, object]] = []
    if one is not None and asked is not None:
        others = {"from_first": before[0], "from_last": before[-1]} if before else {}
        for layer, metric in one.metrics(asked):
            row: dict[str, object] = {"step": one.step, "layer": layer, "metric": metric, "texts": len(one.texts)}
            rows.append(row | _numbers(one, others, layer, metric))
    return pl.DataFrame(rows, schema=_COLUMNS)


def _numbers(one: Measurement, others: Mapping[str, Measurement], layer: str, metric: str) -> dict[str, float | None]:
    """A value and its differences; for means over texts, with intervals that use the same texts for both steps."""
    value = one.value(layer, metric)
    found: dict[str, float | None] = {"value": value}
    column, exponential = one.column(layer, metric) if (layer, metric) not in one.pooled else (None, False)
    means = None if column is None else _resampled(column, exponential=exponential)
    if means is not None:
        found["value_low"], found["value_high"] = percentile_interval(means)
    for name, other in others.items():
        then = other.value(layer, metric)
        if value is None or then is None:
            continue
        found[name] = value - then
        earlier, _ = other.column(layer, metric) if means is not None else (None, False)
        if earlier is not None and means is not None and other.texts == one.texts:
            shift = means - _resampled(earlier, exponential=exponential)
            found[f"{name}_low"], found[f"{name}_high"] = percentile_interval(shift)
    return found


def _resampled(column: Numbers, *, exponential: bool) -> Numbers:
    """Bootstrap means of a column; columns of the same length use the same draws of texts."""
    means = resampled_means(column[:, None], rng=np.random.default_rng(0))[:, 0]
    return np.exp(means) if exponential else means
