"""A note, its inputs, and helpers for rules."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from rankscope.statistics.aggregation import Summary

_SMALLEST = ("lowest", "shortest")
"""Numbers of a note of which the smallest made it fire; of all others it is the largest."""


@dataclass(frozen=True)
class ReadingFacts:
    """How a network reads texts.

    Attributes:
        causal: whether it predicts the next token.
        padding_fault: why its texts ran one by one; None if they ran in batches.
        streams: whether hidden states between blocks are means over parallel streams.
    """

    causal: bool = True
    padding_fault: str | None = None
    streams: bool = False


@dataclass(frozen=True)
class Facts:
    """What notes need to know of a run in addition to its numbers.

    Attributes:
        protocol: The protocol of the twins.
        dropout: by model, the largest dropout of its configuration.
        readings: by model, how its network reads texts.
        versions: by library name, the versions that measured parts of the run, if several.
    """

    protocol: str = "default"
    dropout: Mapping[str, float] = field(default_factory=dict)
    readings: Mapping[str, ReadingFacts] = field(default_factory=dict)
    versions: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Note:
    """A note that fired.

    Attributes:
        name: as in the documentation.
        text: one line for display.
        rows: `model | dataset | layer` of the affected rows.
        numbers: the values that made it fire.
    """

    name: str
    text: str
    rows: tuple[str, ...]
    numbers: dict[str, float]


def note_with_extremes(name: str, text: str, rows: Sequence[Summary], key: str) -> list[Note]:
    """One note for all affected rows, with their extreme values."""
    if not rows:
        return []
    values = [number(row.get(key), absent=0.0) for row in rows]
    return [Note(name, text, tuple(map(row_name, rows)), {"lowest": min(values), "highest": max(values)})]


def merged_notes(notes: Iterable[Note]) -> list[Note]:
    """Notes of several runs; those with the same text become one note on all their rows, with the extreme numbers."""
    found: dict[tuple[str, str], Note] = {}
    for note in notes:
        same = found.setdefault((note.name, note.text), note)
        numbers = dict(same.numbers)
        for name, value in note.numbers.items():
            extreme = min if name in _SMALLEST else max
            numbers[name] = extreme(value, numbers.get(name, value))
        rows = tuple(dict.fromkeys((*same.rows, *note.rows)))
        found[note.name, note.text] = replace(same, rows=rows, numbers=numbers)
    return list(found.values())


def row_name(row: Summary) -> str:
    """The identifier of a row in a note."""
    return f"{row['model']} | {row['dataset']} | {row['layer']}"


def number(value: object, absent: float | None = None) -> float:
    """A value as a float; `absent` replaces a missing value, if given."""
    if isinstance(value, (int, float)):
        return float(value)
    if absent is None:
        raise TypeError(f"expected a number, got {value!r}")
    return absent


def below(value: object, threshold: float) -> bool:
    """Whether a value is a number below a threshold."""
    return isinstance(value, (int, float)) and value < threshold


def above(value: object, threshold: float) -> bool:
    """Whether a value is a number above a threshold."""
    return isinstance(value, (int, float)) and value > threshold
