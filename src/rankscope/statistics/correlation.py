"""Correlation between metrics over models, with intervals and the number of models.

Sources of the intervals: Fisher 1915 (Pearson); Bonett & Wright 2000, doi 10.1007/BF02294183 (Spearman and
Kendall, on Fisher's scale with their own standard errors).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import stats

from rankscope.errors import ConstantMetricError, SettingsError
from rankscope.statistics.bootstrap import CONFIDENCE, Numbers

Method = Literal["pearson", "spearman", "kendall"]
METHODS: tuple[Method, ...] = ("pearson", "spearman", "kendall")
FEWEST_FOR_INTERVAL = 5
"""The fewest models, beyond the controls, for an interval: with fewer, it would cover most values."""


@dataclass(frozen=True)
class Correlation:
    """A correlation over models.

    Attributes:
        method: pearson, spearman or kendall.
        value: Between -1 and 1.
        low: Lower end of its interval; None for fewer than five models beyond the controls, and at exactly 1 or -1,
            where the method gives no width.
        high: Upper end of its interval; None in the same cases.
        models: Number of models.
        controls: Number of variables held fixed.
    """

    method: Method
    value: float
    low: float | None
    high: float | None
    models: int
    controls: int = 0


def correlation(
    x: Numbers,
    y: Numbers,
    method: Method = "pearson",
    *,
    controls: Numbers | None = None,
    confidence: float = CONFIDENCE,
) -> Correlation:
    """Correlation of two metrics over models, or their partial correlation given others.

    A partial correlation is that of the residuals of a least-squares fit on the controls; for ranks,
    all variables are ranked first.

    Args:
        x: (models,) one metric.
        y: (models,) another.
        method: Method of correlation.
        controls: (models, variables) to hold fixed, such as hidden size and length.
        confidence: Confidence of the interval.

    Raises:
        ConstantMetricError: a metric is constant over models, or the controls explain it completely.
        SettingsError: shapes do not match, there are fewer than three models beyond the controls, or the method is
            unknown.
    """
    one, other = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    held = np.empty((len(one), 0)) if controls is None else np.asarray(controls, dtype=np.float64).reshape(len(one), -1)
    number, fixed = len(one), held.shape[1]
    if method not in METHODS:
        raise SettingsError(f"the method of a correlation must be one of {', '.join(METHODS)}, got {method!r}")
    if one.shape != other.shape or one.ndim != 1 or number - fixed < 3:
        raise SettingsError(
            f"a correlation needs two metrics of the same models, with at least 3 models more than controls; "
            f"got {one.shape}, {other.shape} and {fixed} controls"
        )
    if fixed:
        if method != "pearson":
            one, other, held = stats.rankdata(one), stats.rankdata(other), stats.rankdata(held, axis=0)
        one, other = _what_is_left(one, held), _what_is_left(other, held)
    for metric in (one, other):
        if np.ptp(metric) == 0:
            raise ConstantMetricError(
                "no correlation is defined for a metric that is constant over models (given the controls)"
            )
    value = round(_COEFFICIENTS[method](one, other), 12)  # a perfect correlation is exactly 1
    low, high = _interval(value, method, number - fixed, confidence)
    return Correlation(method, value, low, high, number, fixed)


def p_value(found: Correlation) -> float | None:
    """The p-value of no correlation; it is below a level exactly if the interval at that level excludes 0.

    None for fewer than five models beyond the controls, and for a Pearson correlation of exactly 1 or -1. Ranks that
    agree perfectly have no interval; their p-value is the share of all orders that would agree perfectly, in either
    direction.
    """
    models = found.models - found.controls
    if models >= FEWEST_FOR_INTERVAL and abs(found.value) >= 1 and found.method != "pearson":
        return 2 / math.factorial(models)
    error = _standard_error(found.value, found.method, models)
    return None if error is None else float(2 * stats.norm.sf(abs(math.atanh(found.value)) / error))


def _pearson(one: Numbers, other: Numbers) -> float:
    return float(stats.pearsonr(one, other).statistic)


def _spearman(one: Numbers, other: Numbers) -> float:
    return float(stats.spearmanr(one, other).statistic)


def _kendall(one: Numbers, other: Numbers) -> float:
    return float(stats.kendalltau(one, other).statistic)


_COEFFICIENTS: dict[Method, Callable[[Numbers, Numbers], float]] = {
    "pearson": _pearson,
    "spearman": _spearman,
    "kendall": _kendall,
}


def _what_is_left(metric: Numbers, controls: Numbers) -> Numbers:
    design = np.column_stack([np.ones(len(metric)), controls])
    fitted = design @ np.linalg.lstsq(design, metric, rcond=None)[0]
    # Rounding errors must not look like residuals of a perfect fit, or break ties.
    scale = max(1.0, float(np.abs(metric).max()))
    left: Numbers = np.round((metric - fitted) / scale, 12) * scale
    return np.where(np.abs(left) < 1e-9 * scale, 0.0, left)


def _interval(value: float, method: Method, models: int, confidence: float) -> tuple[float | None, float | None]:
    error = _standard_error(value, method, models)
    if error is None:
        return None, None
    reach = float(stats.norm.ppf((1 + confidence) / 2)) * error
    return math.tanh(math.atanh(value) - reach), math.tanh(math.atanh(value) + reach)


def _standard_error(value: float, method: Method, models: int) -> float | None:
    """Standard error on Fisher's scale; None if undefined."""
    if models < FEWEST_FOR_INTERVAL or abs(value) >= 1:  # 1 and -1 are infinite on Fisher's scale
        return None
    errors = {
        "pearson": math.sqrt(1 / (models - 3)),
        "spearman": math.sqrt((1 + value**2 / 2) / (models - 3)),
        "kendall": math.sqrt(0.437 / (models - 4)),
    }
    return errors[method]
