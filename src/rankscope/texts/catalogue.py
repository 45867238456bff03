"""The catalogue: the data sets of the papers, with exactly their fields, order and sampling, and one of ours.

Sources: arXiv 2401.17139 (Diff-eRank) with its published script, and arXiv 2410.10672 (Matrix Nuclear-Norm).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from rankscope.errors import DataError
from rankscope.texts.hub import HubSource
from rankscope.texts.rows import LocatedRow, Render, Row, render_field, text_at, value_at
from rankscope.texts.stdlib_docs import describe_stdlib_docs, read_stdlib_docs


@dataclass(frozen=True)
class MadeSource:
    """Rows that are made when they are asked for.

    Attributes:
        rows: makes them.
        describe: says of what.
    """

    rows: Callable[[], Iterable[LocatedRow]]
    describe: Callable[[], str]

    def __str__(self) -> str:
        return self.describe()


@dataclass(frozen=True)
class CatalogueEntry:
    """A data set with a name.

    Attributes:
        description: what a text is, in a line.
        source: where it is on the hub, or what makes it.
        render: from a row to its text; rows of the hub's and of the original release's shape.
        sample: the papers' sample: this many rows by `random.Random(123).sample`; None for all rows.
    """

    description: str
    source: HubSource | MadeSource
    render: Render
    sample: int | None = None


def _dolly(row: Row) -> str | None:
    return text_at(row, "context") or None


def _openbookqa(row: Row) -> str:
    stem = text_at(row, "question_stem" if "question_stem" in row else "question.stem")
    choices = value_at(row, "choices" if "choices" in row else "question.choices")
    if isinstance(choices, dict):  # the hub keeps columns, the release a list of objects
        by_label = dict(zip(choices["label"], choices["text"], strict=True))
    else:
        by_label = {choice["label"]: choice["text"] for choice in choices}
    return f"{stem} {_chosen(by_label, text_at(row, 'answerKey'))}"


def _piqa(row: Row) -> str:
    solutions = {"0": text_at(row, "sol1"), "1": text_at(row, "sol2")}
    if "label" not in row:
        raise DataError("no field 'label': give the file of labels too, piqa=valid.jsonl,valid-labels.lst")
    return f"{text_at(row, 'goal')} {_chosen(solutions, str(row['label']))}"


def _winogrande(row: Row) -> str:
    options = {"1": text_at(row, "option1"), "2": text_at(row, "option2")}
    return text_at(row, "sentence").replace("_", _chosen(options, str(value_at(row, "answer"))))


def _chosen(options: dict[str, Any], answer: str) -> str:
    if answer not in options:
        raise DataError(f"no correct answer: expected {' or '.join(options)}, got {answer!r}")
    return str(options[answer])


_HH_RLHF = ("harmless-base", "helpful-base", "helpful-online", "helpful-rejection-sampled")

CATALOGUE: dict[str, CatalogueEntry] = {
    "dolly-15k": CatalogueEntry(
        "context of Databricks' instructions, rows where it is not empty; all",
        HubSource("databricks/databricks-dolly-15k", split="train"),
        _dolly,
    ),
    "wikipedia": CatalogueEntry(
        "articles of English Wikipedia; 10,000 by seed 123",
        HubSource("wikimedia/wikipedia", config="20231101.en", split="train"),
        render_field("text"),
        sample=10_000,
    ),
    "openwebtext2": CatalogueEntry(
        "documents of OpenWebText2's validation split; 10,000 by seed 123",
        HubSource("suolyer/pile_openwebtext2", split="validation"),
        render_field("text"),
        sample=10_000,
    ),
    "hh-rlhf": CatalogueEntry(
        "chosen dialogues of Anthropic's HH-RLHF, the four test sets in the papers' order; all",
        HubSource("Anthropic/hh-rlhf", split="test", folders=_HH_RLHF),
        render_field("chosen"),
    ),
    "openbookqa": CatalogueEntry(
        "question and correct answer, test; all",
        HubSource("allenai/openbookqa", config="main", split="test"),
        _openbookqa,
    ),
    "piqa": CatalogueEntry(
        "goal and correct solution, validation; all",
        HubSource("baber/piqa", split="validation"),
        _piqa,
    ),
    "winogrande": CatalogueEntry(
        "sentence with the correct option in its gap, validation; all",
        HubSource("allenai/winogrande", config="winogrande_xl", split="validation"),
        _winogrande,
    ),
    "stdlib-docs": CatalogueEntry(
        "prose from the docstrings of Python's own standard library, made offline; all",
        MadeSource(read_stdlib_docs, describe_stdlib_docs),
        render_field("text"),
    ),
}
