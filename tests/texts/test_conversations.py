from __future__ import annotations

import json
from pathlib import Path

import pytest

from rankscope.errors import DataError
from rankscope.texts import load_texts, parse_data_reference
from rankscope.texts.conversations import plain_text, read_conversation

MESSAGES = [{"role": "user", "content": "Why?"}, {"role": "assistant", "content": "Because."}]


def load(path: Path, rows: list[dict], **options):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return load_texts(parse_data_reference(str(path), **options))


@pytest.mark.parametrize(
    "value",
    [
        MESSAGES,
        [{"from": "human", "value": "Why?"}, {"from": "gpt", "value": "Because."}],
        {"role": ["user", "assistant"], "content": ["Why?", "Because."]},
        [message | {"tool_calls": None, "name": None} for message in MESSAGES],
        [{"role": "user", "content": [{"type": "text", "text": "Why?"}]}, MESSAGES[1]],
    ],
)
def test_shapes(value: object) -> None:
    messages = read_conversation(value, "messages")
    assert list(messages) == MESSAGES
    assert plain_text(messages) == "Why?\n\nBecause."


def test_other_keys_are_kept() -> None:
    call = {"role": "assistant", "content": None, "tool_calls": [{"name": "f"}]}
    assert read_conversation([call], "messages") == (call | {"content": ""},)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("text", "holds str, not a list of messages"),
        ([{"role": "user"}], "holds list, not a list of messages"),
        ([{"role": "user", "content": 3}], "messages.0: the content of a message must be text, got int"),
        ([{"role": 3, "content": ""}], "messages.0: a message needs a role, got 3"),
        ([{"role": "user", "content": [{"type": "image"}]}], "this message has a part that is not text"),
        ([{"role": "user", "content": "\ud800"}], "lone surrogate"),
        ({"role": ["user"], "content": []}, "differ in length"),
    ],
)
def test_other_shapes_are_errors(value: object, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_conversation(value, "messages")


def test_the_field_is_found(tmp_path: Path) -> None:
    for name in ("messages", "conversations"):
        (text,) = load(tmp_path / "a.jsonl", [{"id": "x", name: MESSAGES}], chat=True).texts
        assert (text.id, list(text.messages)) == ("x", MESSAGES)
    (text,) = load(tmp_path / "a.jsonl", [{"turns": MESSAGES, "messages": []}], chat=True, field="turns").texts
    assert list(text.messages) == MESSAGES
    with pytest.raises(DataError, match="no field 'messages'"):
        load(tmp_path / "a.jsonl", [{"turns": MESSAGES}], chat=True)


def test_a_conversation_without_words_is_empty(tmp_path: Path) -> None:
    blank = [{"role": "user", "content": " "}]
    texts = load(tmp_path / "a.jsonl", [{"messages": MESSAGES}, {"messages": []}, {"messages": blank}], chat=True)
    assert [(skipped.id, skipped.reason) for skipped in texts.skipped] == [("1", "empty"), ("2", "empty")]


def test_without_chat_messages_are_an_error_that_says_so(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="a.jsonl:1: field 'messages' holds a list of messages, not text: add --chat"):
        load(tmp_path / "a.jsonl", [{"messages": MESSAGES}], field="messages")
    with pytest.raises(DataError, match="--chat cannot be combined with dolly-15k"):
        parse_data_reference("dolly-15k", chat=True)


def test_the_fingerprint_follows_roles(tmp_path: Path) -> None:
    other = [message | {"role": "user"} for message in MESSAGES]
    one, two = (load(tmp_path / "a.jsonl", [{"messages": turns}], chat=True) for turns in (MESSAGES, other))
    assert one.texts[0].text == two.texts[0].text
    assert one.fingerprint != two.fingerprint
