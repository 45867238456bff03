"""Each data set's text, from rows of the hub's shape and of the original release's."""

from __future__ import annotations

import pytest

from rankscope.errors import DataError
from rankscope.texts import CATALOGUE

OPENBOOKQA = {"id": "7-980", "answerKey": "B"}
STEM, TEXTS, LABELS = "The sun is", ["a stone", "a star"], ["A", "B"]
PIQA = {"goal": "To boil water,", "sol1": "freeze it.", "sol2": "heat it."}


@pytest.mark.parametrize(
    ("name", "row", "text"),
    [
        ("dolly-15k", {"context": " some context\n", "instruction": "?"}, " some context\n"),
        ("dolly-15k", {"context": "", "instruction": "?"}, None),
        ("wikipedia", {"id": "12", "text": "An article."}, "An article."),
        ("openwebtext2", {"text": "A document."}, "A document."),
        ("hh-rlhf", {"chosen": "Human: hi", "rejected": "no"}, "Human: hi"),
        (
            "openbookqa",
            OPENBOOKQA | {"question_stem": STEM, "choices": {"text": TEXTS, "label": LABELS}},
            "The sun is a star",
        ),
        (
            "openbookqa",
            OPENBOOKQA
            | {
                "question": {
                    "stem": STEM,
                    "choices": [{"text": t, "label": n} for t, n in zip(TEXTS, LABELS, strict=True)],
                }
            },
            "The sun is a star",
        ),
        ("piqa", PIQA | {"label": 1}, "To boil water, heat it."),
        ("piqa", PIQA | {"label": "0"}, "To boil water, freeze it."),
        (
            "winogrande",
            {"sentence": "Ann beat Bea, so _ won.", "option1": "Ann", "option2": "Bea", "answer": "1"},
            "Ann beat Bea, so Ann won.",
        ),
        ("alpaca-eval", {"instruction": "Name a star.", "output": "The sun.", "generator": "m"}, "Name a star."),
        ("arena-hard", {"uid": "0a", "prompt": "Name a star."}, "Name a star."),
        ("arena-hard", {"question_id": "0a", "turns": [{"content": "Name a star."}]}, "Name a star."),
    ],
)
def test_text_of_a_row(name: str, row: dict, text: str | None) -> None:
    assert CATALOGUE[name].render(row) == text


@pytest.mark.parametrize(
    ("name", "row", "message"),
    [
        ("piqa", PIQA, "add the file of labels"),
        ("piqa", PIQA | {"label": -1}, "no correct answer: expected 0 or 1, got '-1'"),
        ("openbookqa", OPENBOOKQA | {"question_stem": STEM, "choices": {"text": TEXTS}}, "no field 'label'"),
        ("openbookqa", OPENBOOKQA | {"choices": {"text": TEXTS, "label": ["B"]}}, "one label for each"),
        ("openbookqa", OPENBOOKQA | {"question": {"stem": STEM, "choices": ["text", 3]}}, "is not a field of str"),
        ("openbookqa", OPENBOOKQA | {"choices": 3}, "is not a field of int"),
        ("dolly-15k", {"contxt": "x"}, "did you mean contxt"),
        ("winogrande", {"sentence": "_", "option1": "a", "option2": "b", "answer": ""}, "no correct answer"),
        ("winogrande", {"sentence": "No gap.", "option1": "a", "option2": "b", "answer": "1"}, "no gap"),
        ("arena-hard", {"uid": "0a", "question": "Name a star."}, "no field 'prompt'"),
    ],
)
def test_rows_of_another_shape(name: str, row: dict, message: str) -> None:
    with pytest.raises(DataError, match=message):
        CATALOGUE[name].render(row)


def test_the_seven_data_sets_of_the_papers_come_first() -> None:
    assert list(CATALOGUE)[:7] == [
        "dolly-15k", "wikipedia", "openwebtext2", "hh-rlhf", "openbookqa", "piqa", "winogrande",
    ]  # fmt: skip
    sampled = {name for name, entry in CATALOGUE.items() if entry.sample == 10_000}
    assert sampled == {"wikipedia", "openwebtext2"}
    assert CATALOGUE["hh-rlhf"].source.folders == (
        "harmless-base", "helpful-base", "helpful-online", "helpful-rejection-sampled",
    )  # fmt: skip
