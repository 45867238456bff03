"""Multiple-choice questions, converted from the hub's or the original release's row shape to the hub's columns.

The columns are those read by the lm-evaluation-harness tasks of the same names.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rankscope.errors import DataError
from rankscope.texts.rows import Row, text_at, value_at


def openbookqa_columns(row: Row) -> dict[str, Any]:
    """`question_stem`, `choices` {`text`: [...], `label`: [...]}, `answerKey`.

    Raises:
        DataError: a field is missing, or the answer key is not among the labels.
    """
    choices = value_at(row, "choices" if "choices" in row else "question.choices")
    if isinstance(choices, list):  # the hub stores columns, the release a list of objects
        choices = {name: [text_at(choice, name) for choice in choices] for name in ("text", "label")}
    texts, labels = value_at(choices, "text"), value_at(choices, "label")
    if not isinstance(texts, list) or not isinstance(labels, list) or len(texts) != len(labels):
        raise DataError(f"choices must be a list of texts and one label for each, got {texts!r} and {labels!r}")
    key = text_at(row, "answerKey").strip()
    _check_answer(key, labels)
    return {
        "question_stem": text_at(row, "question_stem" if "question_stem" in row else "question.stem"),
        "choices": {"text": texts, "label": labels},
        "answerKey": key,
    }


def piqa_columns(row: Row) -> dict[str, Any]:
    """`goal`, `sol1`, `sol2`, `label` 0 or 1.

    Raises:
        DataError: a field is missing, or the label is neither 0 nor 1.
    """
    texts = {name: text_at(row, name) for name in ("goal", "sol1", "sol2")}
    if "label" not in row:
        raise DataError("no field 'label': add the file of labels, as in piqa=valid.jsonl,valid-labels.lst")
    label = str(row["label"])
    _check_answer(label, ["0", "1"])
    return texts | {"label": int(label)}


def winogrande_columns(row: Row) -> dict[str, Any]:
    """`sentence` with a gap `_`, `option1`, `option2`, `answer` "1" or "2".

    Raises:
        DataError: a field is missing, the sentence has no gap, or the answer is neither "1" nor "2".
    """
    texts = {name: text_at(row, name) for name in ("sentence", "option1", "option2")}
    if "_" not in texts["sentence"]:
        raise DataError(f"no gap: expected a sentence with _ in place of an option, got {texts['sentence'][:60]!r}")
    answer = str(value_at(row, "answer"))
    _check_answer(answer, ["1", "2"])
    return texts | {"answer": answer}


COLUMNS: dict[str, Callable[[Row], dict[str, Any]]] = {
    "openbookqa": openbookqa_columns,
    "piqa": piqa_columns,
    "winogrande": winogrande_columns,
}
"""The conversion function of each data set."""


def _check_answer(answer: str, labels: list[str]) -> None:
    if answer not in labels:
        raise DataError(f"no correct answer: expected {' or '.join(labels)}, got {answer!r}")
