"""Scores of responses with their length held fixed, and whether they still rank the responders.

A longer response has other numbers for its length alone, and is preferred for its length alone. So length is held fixed
twice: response by response in the metric, and over responders in what the metric is compared with.
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
        metric: name.
        plain: Spearman's correlation of its mean with the leaderboard, over responders.
        spearman: the partial one, length held fixed; None where length explains everything or responders are too few.
        low: of its interval, at a level that Holm's procedure gives; None where the ranks agree wholly.
        high: of its interval.
        p_value: of no correlation, after Holm's correction over the metrics.
        responders: how many.
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
        """Whether the corrected p-value is below 0.05, and with it 0 outside the interval where there is one."""
        return self.p_value is not None and self.p_value < LEVEL


def from_length(metric: Numbers, length: Numbers) -> Numbers:
    """What each response's metric would be by its length alone: a parabola in the logarithm, over all responses.

    Args:
        metric: (responses,).
        length: (responses,) above 0.
    """
    design = np.vander(np.log(length) - np.log(length).mean(), _DEGREE + 1)
    fitted: Numbers = design @ np.linalg.lstsq(design, metric, rcond=None)[0]
    return fitted


def adjusted_means(metric: Numbers, length: Numbers) -> Numbers:
    """Each responder's mean, as it would be were all responses of one length (analysis of covariance).

    The curve over length, a parabola in its logarithm, is fitted within prompts and within responders at once, so
    neither long prompts nor responders that are long-winded and good bend it.

    Args:
        metric: (prompts, responders), complete.
        length: (prompts, responders), above 0.

    Raises:
        SettingsError: shapes that do not match, or fewer than two prompts or responders.
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
    # What rounding leaves of a metric that is length alone is nothing, and must not be ranked.
    rounding = _ROUNDING * float(np.abs(metric).max())
    return np.where(np.abs(moved - metric.mean()) < rounding, metric.mean(), moved)


def _within(values: Numbers) -> Numbers:
    """Less the means of prompts and of responders."""
    without: Numbers = values - values.mean(axis=0) - values.mean(axis=1, keepdims=True) + values.mean()
    return without


def rankings_at_length(
    means: Mapping[str, Numbers], adjusted: Mapping[str, Numbers], lengths: Numbers, places: Numbers
) -> list[HeldRanking]:
    """For each metric: does it rank responders as the leaderboard does, with length held fixed in both?

    Spearman's partial correlation over responders of adjusted means with the leaderboard, given the logarithm of
    responders' mean lengths. Levels of intervals are those of Holm's procedure over the metrics.

    Args:
        means: (responders,) by metric.
        adjusted: the same, as `adjusted_means` returns them.
        lengths: (responders,) mean length.
        places: (responders,) the leaderboard's numbers.
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
    """None where one of the two is constant, also given the controls."""
    try:
        return correlation(one, other, "spearman", controls=controls, confidence=confidence)
    except ConstantMetricError:
        return None
