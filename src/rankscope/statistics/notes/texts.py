"""Notes on which texts were measured, how many, and their lengths."""

from __future__ import annotations

from collections.abc import Sequence

from rankscope.statistics.aggregation import Summary
from rankscope.statistics.notes.note import Facts, Note, above, note_with_extremes, number, row_name

LENGTHS_APART = 0.10
FEWEST_TEXTS = 30
MANY_SKIPPED = 0.05


def lengths_differ(rows: Sequence[Summary], _: Facts) -> list[Note]:
    """Compared models read texts of different lengths."""
    notes = []
    for dataset in dict.fromkeys(row["dataset"] for row in rows):
        lengths = {
            str(row["model"]): number(row["tokens"]) / number(row["texts"])
            for row in rows
            if row["dataset"] == dataset and row["texts"]
        }
        if len(lengths) > 1 and max(lengths.values()) > (1 + LENGTHS_APART) * min(lengths.values()):
            low, high = min(lengths.values()), max(lengths.values())
            text = f"lengths differ on {dataset}: {low:.0f} to {high:.0f} tokens per text; eRank grows with length "
            text += "(--window)"
            concerned = tuple(row_name(row) for row in rows if row["dataset"] == dataset)
            notes.append(Note("lengths-differ", text, concerned, {"shortest": low, "longest": high}))
    return notes


def few_texts(rows: Sequence[Summary], _: Facts) -> list[Note]:
    """There are too few texts for reliable intervals."""
    found = [row for row in rows if number(row["texts"]) < FEWEST_TEXTS]
    text = f"fewer than {FEWEST_TEXTS} texts: the intervals are too narrow to trust"
    return note_with_extremes("few-texts", text, found, "texts")


def many_skipped(rows: Sequence[Summary], _: Facts) -> list[Note]:
    """Many texts were skipped."""
    shares = [(row, number(row["skipped"]) / max(1.0, number(row["skipped"]) + number(row["texts"]))) for row in rows]
    found = [(row, share) for row, share in shares if share > MANY_SKIPPED]
    if not found:
        return []
    worst = max(share for _, share in found)
    text = f"up to {worst:.0%} of the texts were skipped: the rest may not be representative"
    return [Note("many-skipped", text, tuple(row_name(row) for row, _ in found), {"share": worst})]


def texts_cut(rows: Sequence[Summary], _: Facts) -> list[Note]:
    """Texts were truncated to the maximum length."""
    found = [row for row in rows if above(row.get("cut"), 0)]
    if not found:
        return []
    most = max(found, key=lambda row: number(row["cut"]))
    text = (
        f"up to {number(most['cut']):,.0f} of {number(most['texts']):,.0f} texts were truncated to the maximum length: "
        "only their beginnings were measured (--max-length, --skip-overlong, --window)"
    )
    return note_with_extremes("texts-cut", text, found, "cut")
