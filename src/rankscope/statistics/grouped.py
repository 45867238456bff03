"""Correlation inside groups, and how much of what differs between groups another column explains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rankscope.errors import ConstantMetricError
from rankscope.statistics.bootstrap import Numbers
from rankscope.statistics.correlation import Correlation, Method, correlation

_FEWEST = 3


def within_groups(x: Numbers, y: Numbers, groups: Sequence[str], method: Method = "spearman") -> Correlation | None:
    """Correlation of two columns with the group held fixed: that of what is left when each group has its own level.

    Points of one group are taken as independent of each other. Those of one training are not, and its interval is
    then too narrow.

    Args:
        x: (points,) one column.
        y: (points,) the other.
        groups: which group each point belongs to.
        method: of correlation; for ranks, all points are ranked together first.

    Returns:
        None with fewer than three points more than group levels, or where a column does not vary inside groups.

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
        correlation: Pearson's, whose square the share is; its sign says in which direction the line goes.
        value: between 0 and 1.
        low: of its interval; None where the correlation behind it has none.
        high: as low.
    """

    correlation: float
    value: float
    low: float | None
    high: float | None


def share_explained(x: Numbers, y: Numbers) -> Share | None:
    """The share of y's variance that a straight line in x explains, r squared.

    The interval follows from that of r: it begins at 0 where that of r holds 0.

    Args:
        x: (groups,) what may explain.
        y: (groups,) what is explained.

    Returns:
        None with fewer than three groups, or where a column is the same for all.

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
