"""The catalogue: the papers' data sets with their exact fields, order and sampling, and rankscope's `stdlib-docs`.

Sources: arXiv 2401.17139 (Diff-eRank) with its published script, and arXiv 2410.10672 (Matrix Nuclear-Norm).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from rankscope.texts.benchmark_rows import openbookqa_columns, piqa_columns, winogrande_columns
from rankscope.texts.hub import HubSource
from rankscope.texts.rows import LocatedRow, Render, Row, render_field, text_at
from rankscope.texts.stdlib_docs import describe_stdlib_docs, read_stdlib_docs


@dataclass(frozen=True)
class MadeSource:
    """Rows that are generated on demand.

    Attributes:
        rows: generates them.
        describe: returns a description of their source.
    """

    rows: Callable[[], Iterable[LocatedRow]]
    describe: Callable[[], str]

    def __str__(self) -> str:
        return self.describe()


@dataclass(frozen=True)
class CatalogueEntry:
    """A named data set.

    Attributes:
        description: what a text is, in one line.
        source: where it is on the hub, or what generates it.
        render: turns a row, in the hub's or the original release's shape, into its text.
        sample: the size of the papers' sample, drawn by `random.Random(123).sample`; None for all rows.
    """

    description: str
    source: HubSource | MadeSource
    render: Render
    sample: int | None = None


def _dolly(row: Row) -> str | None:
    return text_at(row, "context") or None


def _openbookqa(row: Row) -> str:
    item = openbookqa_columns(row)
    correct = item["choices"]["label"].index(item["answerKey"])
    return f"{item['question_stem']} {item['choices']['text'][correct]}"


def _piqa(row: Row) -> str:
    item = piqa_columns(row)
    return f"{item['goal']} {item['sol2' if item['label'] else 'sol1']}"


def _winogrande(row: Row) -> str:
    item = winogrande_columns(row)
    return str(item["sentence"].replace("_", item[f"option{item['answer']}"]))


def _arena_hard(row: Row) -> str:
    return text_at(row, "prompt" if "prompt" in row or "turns" not in row else "turns.0.content")


_HH_RLHF = ("harmless-base", "helpful-base", "helpful-online", "helpful-rejection-sampled")

CATALOGUE: dict[str, CatalogueEntry] = {
    "dolly-15k": CatalogueEntry(
        "contexts of Databricks' instructions, where not empty; all",
        HubSource("databricks/databricks-dolly-15k", split="train"),
        _dolly,
    ),
    "wikipedia": CatalogueEntry(
        "English Wikipedia articles; 10,000 sampled with seed 123",
        HubSource("wikimedia/wikipedia", config="20231101.en", split="train"),
        render_field("text"),
        sample=10_000,
    ),
    "openwebtext2": CatalogueEntry(
        "documents of OpenWebText2's validation split; 10,000 sampled with seed 123",
        HubSource("suolyer/pile_openwebtext2", split="validation"),
        render_field("text"),
        sample=10_000,
    ),
    "hh-rlhf": CatalogueEntry(
        "chosen dialogues of Anthropic's HH-RLHF, four test sets in the papers' order; all",
        HubSource("Anthropic/hh-rlhf", split="test", folders=_HH_RLHF),
        render_field("chosen"),
    ),
    "openbookqa": CatalogueEntry(
        "question with correct answer, test split; all",
        HubSource("allenai/openbookqa", config="main", split="test"),
        _openbookqa,
    ),
    "piqa": CatalogueEntry(
        "goal with correct solution, validation split; all",
        HubSource("baber/piqa", split="validation"),
        _piqa,
    ),
    "winogrande": CatalogueEntry(
        "sentence with the correct option filled in, validation split; all",
        HubSource("allenai/winogrande", config="winogrande_xl", split="validation"),
        _winogrande,
    ),
    "alpaca-eval": CatalogueEntry(
        "AlpacaEval instructions, for instruct models to answer; all 805",
        # The main branch is a loading script, which the datasets library no longer supports.
        HubSource("tatsu-lab/alpaca_eval", revision="refs/convert/parquet", folders=("alpaca_eval",)),
        render_field("instruction"),
    ),
    "arena-hard": CatalogueEntry(
        "Arena-Hard v0.1 prompts, for instruct models to answer; all 500",
        HubSource("lmarena-ai/arena-hard-auto-v0.1", split="train"),
        _arena_hard,
    ),
    "stdlib-docs": CatalogueEntry(
        "prose from the docstrings of Python's standard library, read offline; all",
        MadeSource(read_stdlib_docs, describe_stdlib_docs),
        render_field("text"),
    ),
}
