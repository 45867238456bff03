"""Notes on how networks read texts, and on library versions."""

from __future__ import annotations

from collections.abc import Sequence

from rankscope.statistics.aggregation import Summary
from rankscope.statistics.notes.note import Facts, Note, ReadingFacts, row_name


def not_causal(rows: Sequence[Summary], facts: Facts) -> list[Note]:
    """The network reads in both directions."""
    found = [row for row in rows if not _reading(row, facts).causal]
    text = "reads texts in both directions: no next-token loss, and eRank is not comparable with causal models"
    return _of_models("not-causal", text, found)


def texts_one_by_one(rows: Sequence[Summary], facts: Facts) -> list[Note]:
    """Texts could not run in batches; one note per reason."""
    notes = []
    for fault in dict.fromkeys(_reading(row, facts).padding_fault for row in rows):
        if fault is not None:
            found = [row for row in rows if _reading(row, facts).padding_fault == fault]
            notes += _of_models("texts-one-by-one", f"{fault}: its texts were run one at a time", found)
    return notes


def mean_of_streams(rows: Sequence[Summary], facts: Facts) -> list[Note]:
    """Layers are measured on the mean of parallel streams."""
    found = [row for row in rows if row["layer"] != "last" and _reading(row, facts).streams]
    text = "has several parallel streams per token between blocks: layers before 'last' are measured on their mean"
    return _of_models("mean-of-streams", text, found)


def several_versions(rows: Sequence[Summary], facts: Facts) -> list[Note]:
    """Parts of the run were measured with different library versions."""
    if not facts.versions:
        return []
    which = "; ".join(f"{name} {' and '.join(several)}" for name, several in facts.versions.items())
    text = f"parts of the run were measured with different versions ({which}), so they can differ beyond rounding"
    most = max(len(several) for several in facts.versions.values())
    return [Note("several-versions", text, tuple(map(row_name, rows)), {"versions": float(most)})]


def _reading(row: Summary, facts: Facts) -> ReadingFacts:
    return facts.readings.get(str(row["model"]), ReadingFacts())


def _of_models(name: str, text: str, rows: Sequence[Summary]) -> list[Note]:
    """One note for all affected rows; the sentence begins with their models."""
    if not rows:
        return []
    models = ", ".join(dict.fromkeys(str(row["model"]) for row in rows))
    return [Note(name, f"{models} {text}", tuple(map(row_name, rows)), {})]
