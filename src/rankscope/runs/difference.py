"""Differences of each metric between two tables of measurements, paired over their texts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from rankscope.errors import RunFolderError
from rankscope.statistics import (
    bootstrap_interval,
    complete_column,
    complete_texts,
    paired_difference,
    summary_metrics,
)
from rankscope.statistics.bootstrap import Numbers

if TYPE_CHECKING:
    from rankscope.runs.run import Run


@dataclass(frozen=True)
class Difference:
    """A metric of a model minus that of the reference, on their common texts.

    The reference is another model under the same settings, or the same model under another setting.

    Attributes:
        dataset: Name of the data set.
        layer: The layer in both.
        metric: Name of the metric.
        reference: The first model, or the model itself if a setting differs.
        model: The other model.
        reference_value: The reference's value over the common texts.
        model_value: The model's value over the common texts.
        difference: Model minus reference.
        low: Lower end of its 95 % bootstrap interval over texts.
        high: Upper end of the interval.
        p_value: p-value of a paired sign-flip test (effective ranks are tested as entropies); None for
            Diff-eRank, which has no value for a single text.
        texts: Number of common texts.
        setting: The differing setting, such as `perturbation`; None if models differ.
        reference_setting: Its value in the reference.
        model_setting: Its value in the other run.
    """

    dataset: str
    layer: str
    metric: str
    reference: str
    model: str
    reference_value: float
    model_value: float
    difference: float
    low: float
    high: float
    p_value: float | None
    texts: int
    setting: str | None = None
    reference_setting: str | None = None
    model_setting: str | None = None


@dataclass(frozen=True)
class MeasuredTable:
    """The measurements of one model on one data set at one layer."""

    run: Run
    model: str
    dataset: str
    fingerprint: str
    layer: str
    rows: pl.DataFrame


def compared() -> dict[str, str]:
    """The metrics to compare, each with the metric that is averaged over texts for it.

    If one metric is the exponential of another, only the exponential is compared, as both carry the same information.
    """
    metrics = summary_metrics()
    as_another = {metric.exponential_of for metric in metrics}
    found: dict[str, str] = {}
    for metric in metrics:
        if metric.name not in as_another:
            found[metric.name] = metric.exponential_of or metric.name
        if metric.name == "effective_rank":
            found["diff_erank"] = "matrix_entropy"
    return found


def differences_between(base: MeasuredTable, other: MeasuredTable) -> list[Difference]:
    """Each metric of `other` minus that of `base`, paired over their common texts.

    Raises:
        RunFolderError: the tables have fewer than two usable texts in common.
    """
    (one, one_twins), (two, two_twins) = complete_texts(base.rows), complete_texts(other.rows)
    common = one.select("text_id").join(two.select("text_id"), on="text_id").sort("text_id")
    if common.height < 2:
        raise RunFolderError(
            f"{base.model} and {other.model} share only {common.height} usable texts of {base.dataset}"
        )

    def column(frame: pl.DataFrame, name: str) -> Numbers | None:
        return complete_column(common.join(frame, on="text_id", how="left"), name)

    found = []
    for metric, averaged in compared().items():
        if metric == "diff_erank":
            frames = [one, *one_twins, two, *two_twins]
            columns = [column(frame, "matrix_entropy") for frame in frames]
            values = _of_diff_erank(columns, len(one_twins), len(two_twins))
        else:
            values = _of_metric(column(one, averaged), column(two, averaged), exponential=metric != averaged)
        if values is not None:
            reference_value, model_value, low, high, p_value = values
            found.append(
                Difference(
                    dataset=base.dataset,
                    layer=base.layer,
                    metric=metric,
                    reference=base.model,
                    model=other.model,
                    reference_value=reference_value,
                    model_value=model_value,
                    difference=model_value - reference_value,
                    low=low,
                    high=high,
                    p_value=p_value,
                    texts=common.height,
                )
            )
    return found


_Values = tuple[float, float, float, float, float | None]


def _of_metric(one: Numbers | None, two: Numbers | None, *, exponential: bool) -> _Values | None:
    if one is None or two is None:
        return None
    paired = paired_difference(two, one)
    low, high = paired.low, paired.high
    first, second = float(one.mean()), float(two.mean())
    if exponential:
        first, second = float(np.exp(first)), float(np.exp(second))
        low, high = bootstrap_interval(
            np.column_stack([one, two]), lambda means: np.exp(means[..., 1]) - np.exp(means[..., 0])
        )
    return first, second, low, high, paired.p_value


def _of_diff_erank(columns: Sequence[Numbers | None], of_one: int, of_two: int) -> _Values | None:
    """The two Diff-eRanks, their difference's interval, and no p-value; None if a twin or a column is missing.

    Args:
        columns: Matrix entropies of texts: the reference, its twins, the other model, its twins.
        of_one: Number of the reference's twins.
        of_two: Number of the other model's twins.
    """
    known = [column for column in columns if column is not None]
    if not of_one or not of_two or len(known) < len(columns):
        return None

    def term(start: int, twins: int) -> Callable[[Numbers], Numbers]:
        def diff_erank(means: Numbers) -> Numbers:
            ranks = np.exp(means)
            found: Numbers = ranks[..., start + 1 : start + 1 + twins].mean(axis=-1) - ranks[..., start]
            return found

        return diff_erank

    one, two = term(0, of_one), term(1 + of_one, of_two)
    table = np.column_stack(known)
    means = table.mean(axis=0)
    first, second = float(one(means)), float(two(means))
    low, high = bootstrap_interval(table, lambda sampled: two(sampled) - one(sampled))
    return first, second, low, high, None
