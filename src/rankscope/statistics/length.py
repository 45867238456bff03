"""Scores of responses with length held fixed, and whether they still rank the responders.

Length alone changes a response's metrics, and longer responses are preferred for their length alone. Length is
therefore held fixed twice: in the metric, per response, and in the comparison with a leaderboard, per responder.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from rankscope.errors import ConstantMetricError, SettingsError
from rankscope.statistics.associations import fewest_models
from rankscope.statistics.bootstrap import Numbers
from rankscope.statistics.correlation import Correlation, correlation, p_value
from rankscope.statistics.multiplicity import LEVEL, holm_levels

_DEGREE = 2
_ROUNDING = 1e-9


@dataclass(frozen=True)
class HeldRanking:
    """Whether a metric ranks responders as a leaderboard does, with length held fixed.

    Attributes:
        metric: Name of the metric.
        plain: Spearman's correlation of its mean with the leaderboard, over responders; None if it is undefined.
        spearman: Spearman's partial correlation with length held fixed; None if length explains everything, or for too
            few responders.
        low: Lower end of its interval, at a level from Holm's procedure; None if the ranks agree perfectly.
        high: Upper end of its interval.
        p_value: p-value of no correlation, after Holm's correction over the metrics.
        responders: Number of responders.
    """

    metric: str
    plain: float | None
    spearman: float | None
    low: float | None
    high: float | None
    p_value: float | None
    responders: int

    @property
    def still_ranks(self) -> bool:
        """Whether the corrected p-value is below 0.05; if there is an interval, this means that it excludes 0."""
        return self.p_value is not None and self.p_value < LEVEL


def from_length(metric: Numbers, length: Numbers) -> Numbers:
    """The metric of each response as predicted from its length alone: a parabola in log length over all responses.

    Args:
        metric: (responses,).
        length: (responses,) above 0.
    """
    design = np.vander(np.log(length) - np.log(length).mean(), _DEGREE + 1)
    fitted: Numbers = design @ np.linalg.lstsq(design, metric, rcond=None)[0]
    return fitted


def adjusted_means(metric: Numbers, length: Numbers) -> Numbers:
    """Each responder's mean, adjusted to a common length of all responses (analysis of covariance).

    A parabola in log length is fitted within prompts and responders at the same time. The fit is therefore not affected
    by prompts with long responses, or by responders that are both verbose and good.

    Args:
        metric: (prompts, responders), complete.
        length: (prompts, responders), above 0.

    Raises:
        SettingsError: shapes do not match, or there are fewer than two prompts or responders.
    """
    if metric.shape != length.shape or metric.ndim != 2 or min(metric.shape) < 2:
        raise SettingsError(
            "scores at fixed length need at least two prompts and two responders, with scores and lengths for all; got "
            f"{metric.shape} scores and {length.shape} lengths"
        )
    logarithm = np.log(length) - np.log(length).mean()
    powers = [logarithm**power for power in range(1, _DEGREE + 1)]
    design = np.column_stack([_within(power).ravel() for power in powers])
    slopes = np.linalg.lstsq(design, _within(metric).ravel(), rcond=None)[0]
    moved: Numbers = metric.mean(axis=0)
    for slope, power in zip(slopes, powers, strict=True):
        moved = moved - slope * (power.mean(axis=0) - power.mean())
    # If length explains a metric completely, the rounding errors that remain must not be ranked.
    rounding = _ROUNDING * float(np.abs(metric).max())
    return np.where(np.abs(moved - metric.mean()) < rounding, metric.mean(), moved)


def _within(values: Numbers) -> Numbers:
    """Removes the means of prompts and responders from a table (prompts, responders)."""
    without: Numbers = values - values.mean(axis=0) - values.mean(axis=1, keepdims=True) + values.mean()
    return without


def rankings_at_length(
    means: Mapping[str, Numbers], adjusted: Mapping[str, Numbers], lengths: Numbers, places: Numbers
) -> list[HeldRanking]:
    """Whether each metric ranks responders as a leaderboard does, with length held fixed in both.

    Computes Spearman's partial correlation over responders of adjusted means with the leaderboard, given the logarithm
    of responders' mean lengths. Levels of intervals follow Holm's procedure over the metrics.

    Args:
        means: (responders,) means by metric.
        adjusted: (responders,) by metric, as returned by `adjusted_means`.
        lengths: (responders,) mean lengths.
        places: (responders,) scores on the leaderboard.
    """
    enough = len(places) >= fewest_models(1)
    controls = np.log(lengths)
    found = {name: _spearman(one, places, controls) if enough else None for name, one in adjusted.items()}
    p_values = [None if one is None else p_value(one) for one in found.values()]
    rankings = []
    for (name, one), (level, corrected) in zip(found.items(), holm_levels(p_values), strict=True):
        again = None if one is None else _spearman(adjusted[name], places, controls, 1 - level)
        plain = _spearman(means[name], places) if len(places) >= fewest_models(0) else None
        rankings.append(
            HeldRanking(
                metric=name,
                plain=None if plain is None else plain.value,
                spearman=None if again is None else again.value,
                low=None if again is None else again.low,
                high=None if again is None else again.high,
                p_value=corrected,
                responders=len(places),
            )
        )
    return rankings


def _spearman(
    one: Numbers, other: Numbers, controls: Numbers | None = None, confidence: float = 1 - LEVEL
) -> Correlation | None:
    """Spearman's correlation, partial if controls are given; None if one column is constant given the controls."""
    try:
        return correlation(one, other, "spearman", controls=controls, confidence=confidence)
    except ConstantMetricError:
        return None
