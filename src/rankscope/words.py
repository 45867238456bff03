"""Numbers and lists in sentences."""

from __future__ import annotations

from collections.abc import Iterable

_ENDINGS = {1: "st", 2: "nd", 3: "rd"}


def in_a_list(items: Iterable[object]) -> str:
    """One or more items: `a`, `a and b`, `a, b and c`."""
    *first, last = map(str, items)
    return f"{', '.join(first)} and {last}" if first else last


def ordinal(number: int) -> str:
    """A place in a ranking: `1st`, `2nd`, `3rd`, `4th`, `11th`, `21st`."""
    ending = "th" if 10 < number % 100 < 20 else _ENDINGS.get(number % 10, "th")
    return f"{number}{ending}"
