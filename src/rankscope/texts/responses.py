"""Existing responses of models: in AlpacaEval's, Arena-Hard's or rankscope's own format."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rankscope.errors import DataError
from rankscope.texts.files import read_path
from rankscope.texts.rows import Row, own_id, text_at, value_at
from rankscope.texts.text import SkippedText, Text
from rankscope.texts.text_set import TextSet

_MODEL_FIELDS = ("model", "generator")
_RESPONSE_FIELDS = ("response", "output")


def read_responses(path: Path) -> dict[str, TextSet]:
    """The responses of each model, in the file's order, without the prompts.

    A row names its model (`model`, or AlpacaEval's `generator`) and holds the response: `response`, `output`, or the
    assistant's last message in Arena-Hard's `messages`. Its id is `i`, `uid` or another id of the data set; by
    default, its number among the model's rows. Empty responses and unanswered prompts are skipped with their reason.

    Raises:
        DataError: the file is unreadable, a row lacks a model or response, or an id occurs twice for one model.
    """
    texts: dict[str, list[Text]] = {}
    skipped: dict[str, list[SkippedText]] = {}
    seen: dict[str, set[str]] = {}
    for where, row in read_path(path):
        try:
            model = text_at(row, _first_of(_MODEL_FIELDS, row))
            text = _response(row)
        except DataError as error:
            raise DataError(f"{where}: {error}") from error
        ids = seen.setdefault(model, set())
        name = _id(row, number=len(ids))
        if name in ids:
            raise DataError(f"{where}: second response of {model} to {name!r}: expected one per prompt")
        ids.add(name)
        texts.setdefault(model, [])
        skipped.setdefault(model, [])
        if text.strip():
            texts[model].append(Text(name, text))
        else:
            skipped[model].append(SkippedText(name, str(row.get("reason") or "empty")))
    if not texts:
        raise DataError(f"{path}: no responses")
    return {
        model: TextSet(path.name, f"{path}, responses of {model}", tuple(found), tuple(skipped[model]))
        for model, found in texts.items()
    }


def _first_of(names: tuple[str, ...], row: Row) -> str:
    return next((name for name in names if name in row), names[0])


def _id(row: Row, number: int) -> str:
    if isinstance(row.get("i"), (int, str)):
        return str(row["i"])
    own = own_id(row)
    return str(number) if own is None else own


def _response(row: Row) -> str:
    if "messages" not in row:
        return text_at(row, _first_of(_RESPONSE_FIELDS, row))
    messages = value_at(row, "messages")
    turns = [turn for turn in messages if isinstance(turn, Mapping)] if isinstance(messages, list) else []
    answers: list[Any] = [turn.get("content") for turn in turns if turn.get("role") == "assistant"]
    if not answers:
        raise DataError("no message by the assistant")
    answer = answers[-1]
    return text_at(answer if isinstance(answer, Mapping) else {"answer": answer}, "answer")
