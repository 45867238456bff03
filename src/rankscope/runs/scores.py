"""The rows of a summary as single numbers, for tools that keep one number at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rankscope.statistics import Summary

LESS_IS_BETTER = ("loss", "perplexity", "untrained_loss")
"""Metrics with a better end; of the others neither end is one."""

_FACTS = ("texts", "skipped", "cut", "tokens", "hidden_size", "untrained_seeds", "initializer_range")
_ENDS = ("_low", "_high")


@dataclass(frozen=True)
class Score:
    """One number of a summary.

    Attributes:
        metric: its column.
        value: the number.
        interval: both ends of its 95 % interval, where it has one.
    """

    metric: str
    value: float
    interval: tuple[float, float] | None


def scores_of(row: Summary) -> list[Score]:
    """All numbers of a row but counts and sizes, in its order."""
    return [
        Score(key, float(value), _interval(row, key))
        for key, value in row.items()
        if isinstance(value, (int, float)) and not isinstance(value, bool) and key not in _FACTS
        if not key.endswith(_ENDS)
    ]


def facts_beside(row: Summary) -> dict[str, object]:
    """Counts and sizes of a row."""
    return {key: row[key] for key in _FACTS if row.get(key) is not None}


def _interval(row: Summary, key: str) -> tuple[float, float] | None:
    low, high = row.get(f"{key}_low"), row.get(f"{key}_high")
    if isinstance(low, (int, float)) and isinstance(high, (int, float)):
        return float(low), float(high)
    return None
