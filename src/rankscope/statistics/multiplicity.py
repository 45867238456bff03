"""Correction of p-values for multiple tests on the same data.

Source: Holm 1979, Scandinavian Journal of Statistics 6, 65-70.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

LEVEL = 0.05


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down correction: adjusted p-values, in the given order.

    If all hypotheses with an adjusted p-value of at most alpha are rejected, the probability of any false rejection is
    at most alpha, however the tests depend on each other.

    Example:
        >>> [round(p, 3) for p in holm([0.01, 0.04, 0.03])]
        [0.03, 0.06, 0.06]
    """
    given = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(given, kind="stable")
    raised = np.maximum.accumulate(given[order] * np.arange(len(given), 0, -1))
    adjusted = np.empty_like(given)
    adjusted[order] = np.minimum(raised, 1.0)
    return [float(p) for p in adjusted]


def holm_levels(p_values: Sequence[float | None]) -> list[tuple[float, float | None]]:
    """For each p-value, the level of its interval and the p-value adjusted by `holm`.

    The kth smallest of K p-values is compared with 0.05 / (K - k + 1). From the first one that is not below its level,
    the level stays the same. An interval at this level therefore excludes the null value if and only if the adjusted
    p-value is below 0.05. A missing p-value is not counted, and keeps the level 0.05.
    """
    known = [(value, place) for place, value in enumerate(p_values) if value is not None]
    found: list[tuple[float, float | None]] = [(LEVEL, None)] * len(p_values)
    stopped = 0
    adjusted = dict(zip((place for _, place in known), holm([value for value, _ in known]), strict=True))
    for rank, (value, place) in enumerate(sorted(known)):
        remaining = stopped or len(known) - rank
        if value >= LEVEL / remaining:
            stopped = remaining
        found[place] = (LEVEL / remaining, adjusted[place])
    return found
