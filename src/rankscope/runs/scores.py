"""Splits the rows of a summary into single numbers, for tools that store one number at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rankscope.statistics import Summary

LESS_IS_BETTER = ("loss", "perplexity", "untrained_loss")
"""Metrics for which lower is better; for all others, neither direction is better."""

_FACTS = ("texts", "skipped", "cut", "tokens", "hidden_size", "untrained_seeds", "initializer_range")
_ENDS = ("_low", "_high")


@dataclass(frozen=True)
class Score:
    """One number of a summary.

    Attributes:
        metric: Name of its column.
        value: The number.
        interval: Both ends of its 95 % interval; None if it has none.
    """

    metric: str
    value: float
    interval: tuple[float, float] | None


def scores_of(row: Summary) -> list[Score]:
    """All numbers of a row in order, except counts, sizes and ends of intervals."""
    return [
        Score(key, float(value), _interval(row, key))
        for key, value in row.items()
        if isinstance(value, (int, float)) and not isinstance(value, bool) and key not in _FACTS
        if not key.endswith(_ENDS)
    ]


def row_facts(row: Summary) -> dict[str, object]:
    """Counts, sizes and other facts of a row that are not scores."""
    return {key: row[key] for key in _FACTS if row.get(key) is not None}


def _interval(row: Summary, key: str) -> tuple[float, float] | None:
    low, high = row.get(f"{key}_low"), row.get(f"{key}_high")
    if isinstance(low, (int, float)) and isinstance(high, (int, float)):
        return float(low), float(high)
    return None
