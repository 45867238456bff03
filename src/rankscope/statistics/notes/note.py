"""A note, what it needs to know, and what rules about notes share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rankscope.statistics.aggregation import Summary


@dataclass(frozen=True)
class ReadingFacts:
    """How a network reads texts.

    Attributes:
        causal: whether it predicts the next token.
        padding_fault: why its texts ran one by one; None where they ran in batches.
        streams: whether hidden states between blocks are means over parallel streams.
    """

    causal: bool = True
    padding_fault: str | None = None
    streams: bool = False


@dataclass(frozen=True)
class Facts:
    """What notes need to know of a run beside its numbers.

    Attributes:
        protocol: of the twins.
        dropout: by model, the largest dropout of its configuration.
        readings: by model, how its network reads texts.
        versions: of libraries that measured parts of the run in several versions, by name.
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
        text: one line for people.
        rows: `model | dataset | layer` of the rows concerned.
        numbers: what made it fire.
    """

    name: str
    text: str
    rows: tuple[str, ...]
    numbers: dict[str, float]


def note_with_extremes(name: str, text: str, rows: Sequence[Summary], key: str) -> list[Note]:
    """One note for all rows that it concerns, with their extreme values."""
    if not rows:
        return []
    values = [number(row.get(key), absent=0.0) for row in rows]
    return [Note(name, text, tuple(map(row_name, rows)), {"lowest": min(values), "highest": max(values)})]


def row_name(row: Summary) -> str:
    """What a note calls a row."""
    return f"{row['model']} | {row['dataset']} | {row['layer']}"


def number(value: object, absent: float | None = None) -> float:
    """A value as a number; what stands for one that is absent, where something does."""
    if isinstance(value, (int, float)):
        return float(value)
    if absent is None:
        raise TypeError(f"expected a number, got {value!r}")
    return absent


def below(value: object, threshold: float) -> bool:
    """Whether it is a number below a threshold."""
    return isinstance(value, (int, float)) and value < threshold


def above(value: object, threshold: float) -> bool:
    """Whether it is a number above a threshold."""
    return isinstance(value, (int, float)) and value > threshold
