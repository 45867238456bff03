"""Responses in the shapes in which AlpacaEval, Arena-Hard and rankscope keep them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rankscope.errors import DataError
from rankscope.texts import SkippedText, Text, read_responses


def lines(path: Path, rows: list[Any]) -> Path:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return path


def arena(uid: str, *messages: dict[str, Any], model: str = "m") -> dict[str, Any]:
    return {"uid": uid, "ans_id": "x", "model": model, "messages": list(messages), "tstamp": 1.5}


USER = {"role": "user", "content": "Name a star."}


def test_alpacaeval_outputs_by_model(tmp_path: Path) -> None:
    rows = [{"model": model, "i": i, "output": f"{model} says {i}"} for model in ("b", "a") for i in (3, 0)]
    found = read_responses(lines(tmp_path / "outputs.jsonl", rows))
    assert list(found) == ["b", "a"]
    assert found["a"].texts == (Text("3", "a says 3"), Text("0", "a says 0"))
    assert found["a"].name == "outputs.jsonl"
    assert found["a"].source.endswith("outputs.jsonl, responses of a")


def test_alpacaevals_own_files_have_no_ids(tmp_path: Path) -> None:
    rows = [{"instruction": "Name a star.", "output": text, "generator": "g"} for text in ("Sun.", "Sirius.")]
    (tmp_path / "outputs.json").write_text(json.dumps(rows))
    assert read_responses(tmp_path / "outputs.json")["g"].texts == (Text("0", "Sun."), Text("1", "Sirius."))


def test_arena_hard_messages(tmp_path: Path) -> None:
    rows = [
        arena("u1", USER, {"role": "assistant", "content": {"answer": "Sirius."}}),
        arena("u2", USER, {"role": "assistant", "content": "Vega."}, USER, {"role": "assistant", "content": "Sun."}),
    ]
    assert read_responses(lines(tmp_path / "a.jsonl", rows))["m"].texts == (Text("u1", "Sirius."), Text("u2", "Sun."))


def test_empty_and_unanswered_ones_are_skipped_with_their_reason(tmp_path: Path) -> None:
    rows = [
        {"id": "1", "model": "m", "response": "Sun."},
        {"id": "2", "model": "m", "response": " \n"},
        {"id": "3", "model": "m", "response": None, "reason": "too long"},
        {"id": "4", "model": "silent", "response": ""},
    ]
    found = read_responses(lines(tmp_path / "a.jsonl", rows))
    assert found["m"].texts == (Text("1", "Sun."),)
    assert found["m"].skipped == (SkippedText("2", "empty"), SkippedText("3", "too long"))
    assert found["silent"].texts == ()


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"model": "m", "i": 0, "output": "again"}, "a.jsonl:2: second response of m to '0'"),
        ({"i": 1, "output": "whose?"}, "a.jsonl:2: no field 'model': available fields: i, output"),
        ({"model": "m", "i": 1, "answer": "?"}, "a.jsonl:2: no field 'response'"),
        ({"model": "m", "i": 1, "output": 7}, "a.jsonl:2: field 'output' holds int"),
        (arena("u", USER), "a.jsonl:2: no message by the assistant"),
        (arena("u", {"role": "assistant", "content": {"text": "?"}}), "a.jsonl:2: no field 'answer'"),
        ({"model": "m", "i": 1, "messages": "text"}, "a.jsonl:2: no message by the assistant"),
    ],
)
def test_rows_of_another_shape(row: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        read_responses(lines(tmp_path / "a.jsonl", [{"model": "m", "i": 0, "output": "first"}, row]))


def test_an_empty_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no responses"):
        read_responses(lines(tmp_path / "a.jsonl", []))
