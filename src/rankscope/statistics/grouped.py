"""Correlation within groups, and the share of variance between groups explained by another column."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rankscope.errors import ConstantMetricError
from rankscope.statistics.bootstrap import Numbers
from rankscope.statistics.correlation import Correlation, Method, correlation

_FEWEST = 3


def within_groups(x: Numbers, y: Numbers, groups: Sequence[str], method: Method = "spearman") -> Correlation | None:
    """Correlation of two columns with the group held fixed, that is, after removing each group's mean level.

    The points of a group are assumed to be independent of each other. Checkpoints of one training run are not; the
    interval is then too narrow.

    Args:
        x: (points,) one column.
        y: (points,) the other column.
        groups: The group of each point.
        method: Method of correlation; for ranks, all points are first ranked together.

    Returns:
        The correlation; None if there are not at least two more points than groups, or if a column does not vary
        within groups.

    Example:
        >>> import numpy as np
        >>> within_groups(np.array([1.0, 2, 3, 11, 12, 13]), np.array([3.0, 2, 1, 9, 8, 7]), list("aaabbb")).value < 0
        True
    """
    names = list(dict.fromkeys(groups))
    levels = np.array([[float(group == name) for name in names[1:]] for group in groups]).reshape(len(groups), -1)
    if len(groups) - levels.shape[1] < _FEWEST:
        return None
    try:
        return correlation(x, y, method, controls=levels if levels.shape[1] else None)
    except ConstantMetricError:
        return None


@dataclass(frozen=True)
class Share:
    """A share of variance.

    Attributes:
        correlation: Pearson's correlation, whose square is the share; its sign is that of the slope.
        value: The share, between 0 and 1.
        low: Lower end of its interval; None if the correlation has no interval.
        high: Upper end of its interval.
    """

    correlation: float
    value: float
    low: float | None
    high: float | None


def share_explained(x: Numbers, y: Numbers) -> Share | None:
    """The share of the variance of y explained by a straight line in x, r squared.

    The interval follows from that of r; it starts at 0 if the interval of r contains 0.

    Args:
        x: (groups,) the explanatory column.
        y: (groups,) the explained column.

    Returns:
        The share; None for fewer than three groups, or if a column is constant.

    Example:
        >>> import numpy as np
        >>> share_explained(np.array([1.0, 2, 3, 4]), np.array([1.0, 3, 2, 4])).value.__round__(2)
        0.64
    """
    if len(x) < _FEWEST:
        return None
    try:
        r = correlation(x, y, "pearson")
    except ConstantMetricError:
        return None
    if r.low is None or r.high is None:
        return Share(r.value, r.value**2, None, None)
    ends = sorted((r.low**2, r.high**2))
    return Share(r.value, r.value**2, 0.0 if r.low <= 0 <= r.high else ends[0], ends[1])
