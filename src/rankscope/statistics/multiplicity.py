"""Several tests at once: Holm's step-down procedure (Holm 1979, Scandinavian Journal of Statistics 6)."""

from __future__ import annotations

from collections.abc import Sequence

LEVEL = 0.05


def holm(p_values: Sequence[float | None]) -> list[tuple[float, float | None]]:
    """For each p-value the level of its interval, and itself corrected, by Holm's step-down procedure.

    The k-th smallest of K p-values is compared with 0.05 / (K - k + 1); from the first one that is not below its level
    on, that level stays. So an interval excludes nothing if and only if the corrected p-value is below 0.05.
    """
    known = [(value, place) for place, value in enumerate(p_values) if value is not None]
    found: list[tuple[float, float | None]] = [(LEVEL, None)] * len(p_values)
    stopped, largest = 0, 0.0
    for rank, (value, place) in enumerate(sorted(known)):
        remaining = stopped or len(known) - rank
        if value >= LEVEL / remaining:
            stopped = remaining
        largest = max(largest, min(1.0, value * (len(known) - rank)))
        found[place] = (LEVEL / remaining, largest)
    return found
