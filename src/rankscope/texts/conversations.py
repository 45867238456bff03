"""Conversations: lists of messages, in the shapes that data sets use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rankscope.errors import DataError
from rankscope.texts.text import Message

CONVERSATION_FIELDS = ("messages", "conversations")
"""Fields that are searched for a conversation by default."""

# ShareGPT's names of the roles.
_ROLES = {"human": "user", "gpt": "assistant", "chatgpt": "assistant", "model": "assistant", "bot": "assistant"}


def are_messages(value: Any) -> bool:
    """Whether a value is a list of messages, `{role, content}` or ShareGPT's `{from, value}`."""
    return (
        isinstance(value, (list, tuple))
        and bool(value)
        and all(isinstance(turn, Mapping) and (_has(turn, "role", "content") or _has(turn, "from")) for turn in value)
    )


def read_conversation(value: Any, field: str) -> tuple[Message, ...]:
    """The messages of a conversation as `{role, content}`; other non-empty keys are kept.

    Args:
        value: a list of `{role, content}` or of `{from, value}`, or the columns of such a list; None for no messages.
        field: the field's name, for error messages.

    Raises:
        DataError: the value has another shape.
    """
    if isinstance(value, Mapping) and value and all(isinstance(column, list) for column in value.values()):
        value = _turns_of_columns(value, field)
    if value is None or (isinstance(value, (list, tuple)) and not value):
        return ()
    if not are_messages(value):
        raise DataError(f"field {field!r} holds {type(value).__name__}, not a list of messages {{role, content}}")
    return tuple(_message(turn, f"{field}.{number}") for number, turn in enumerate(value))


def plain_text(messages: tuple[Message, ...]) -> str:
    """The contents of the messages, separated by empty lines."""
    return "\n\n".join(message["content"] for message in messages if message.get("content"))


def _message(turn: Mapping[str, Any], where: str) -> Message:
    renamed = {"from": "role", "value": "content"} if "role" not in turn else {}
    message = {renamed.get(name, name): value for name, value in turn.items() if value is not None}
    role, content = message.get("role"), message.get("content")
    if not isinstance(role, str):
        raise DataError(f"{where}: a message needs a role, got {role!r}")
    if isinstance(content, list):
        content = message["content"] = "".join(_part(part, where) for part in content)
    if content is None and "tool_calls" in message:
        content = message["content"] = ""
    if not isinstance(content, str):
        raise DataError(f"{where}: the content of a message must be text, got {type(content).__name__}")
    if any("\ud800" <= character <= "\udfff" for character in content):
        raise DataError(f"{where}: contains a lone surrogate, which is not valid text: repair the file")
    return message | {"role": _ROLES.get(role, role) if renamed else role}


def _part(part: Any, where: str) -> str:
    """The text of one part of a multi-part content."""
    text = part.get("text") if isinstance(part, Mapping) and part.get("type") == "text" else None
    if not isinstance(text, str):
        raise DataError(f"{where}: this message has a part that is not text, and only text is measured")
    return text


def _turns_of_columns(columns: Mapping[str, list[Any]], field: str) -> list[dict[str, Any]]:
    lengths = {len(column) for column in columns.values()}
    if len(lengths) > 1:
        raise DataError(f"field {field!r}: its columns {', '.join(columns)} differ in length")
    return [dict(zip(columns, turn, strict=True)) for turn in zip(*columns.values(), strict=True)]


def _has(turn: Mapping[str, Any], *names: str) -> bool:
    return all(name in turn for name in names)
