"""Rows, and the strings in them: fields by path, and templates.

A path is a field name, or field names and list indices joined by dots: `question.stem`, `choices.text.0`.
"""

from __future__ import annotations

import difflib
import string
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from rankscope.errors import DataError
from rankscope.texts.conversations import CONVERSATION_FIELDS, are_messages, read_conversation
from rankscope.texts.text import Content

Row = Mapping[str, Any]
Render = Callable[[Row], Content | None]
"""Turns a row into its text or messages; returns None if the row is not part of the data set by definition."""

ID_FIELDS = ("id", "_id", "uid", "qID", "uuid", "question_id", "text_id")


def own_id(row: Row, fields: Sequence[str] = ID_FIELDS) -> str | None:
    """The data set's own id of a row: the first of these fields that holds an integer or a non-empty string, if any."""
    for name in fields:
        value = row.get(name)
        if isinstance(value, (str, int)) and not isinstance(value, bool) and value != "":
            return str(value).encode("utf-8", "replace").decode()
    return None


class LocatedRow(NamedTuple):
    """A row and its location for messages, such as `file.jsonl:17`."""

    where: str
    row: Row


class BadRow(NamedTuple):
    """A row that cannot be read although its neighbours can: its location and the reason."""

    where: str
    reason: str


def refuse_bad_rows(rows: Iterable[LocatedRow | BadRow]) -> Iterator[LocatedRow]:
    """The same rows, if none is bad.

    Raises:
        DataError: a row is bad.
    """
    for row in rows:
        if isinstance(row, BadRow):
            raise DataError(f"{row.where}: {row.reason}")
        yield row


def repeated(names: Iterable[str]) -> str | None:
    """The first name that occurs a second time."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return None


def value_at(row: Row, path: str) -> Any:
    """The value at a path.

    Raises:
        DataError: the path does not exist; the message lists the available fields.
    """
    if isinstance(row, Mapping) and path in row:  # a field's name may contain dots
        return row[path]
    value: Any = row
    for part in path.split("."):
        if isinstance(value, Mapping) and part in value:
            value = value[part]
        elif isinstance(value, (list, tuple)) and part.isdecimal() and int(part) < len(value):
            value = value[int(part)]
        else:
            raise DataError(f"no field {path!r}{_hint(part, value)}")
    return value


def text_at(row: Row, path: str) -> str:
    """The string at a path; None (a missing value) counts as empty.

    Raises:
        DataError: the field does not exist, or its value is not valid text.
    """
    value = value_at(row, path)
    if value is None:
        return ""
    if not isinstance(value, str):
        hint = (
            "a list of messages, not text: add --chat to use the model's chat template"
            if are_messages(value)
            else f"{type(value).__name__}, not text: use the path of the text inside it (a.b), or --template"
        )
        raise DataError(f"field {path!r} holds {hint}")
    if not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value):
        raise DataError(f"field {path!r} contains a lone surrogate, which is not valid text: repair the file")
    return value


def render_field(path: str) -> Render:
    """A function that returns the string at a path."""
    return lambda row: text_at(row, path)


def render_template(template: str) -> Render:
    """A function that fills in a template with paths in braces, such as `{question} {choices.text.0}`.

    `{{` and `}}` are literal braces. Numbers are written unformatted. Only the row's own fields can be accessed.

    Raises:
        DataError: the template is malformed, or names no field.
    """
    parts = _parts(template)
    if any(form or change for _, _, form, change in parts):
        raise DataError(f"template {template!r}: fields cannot have a format (':' or '!'), only names and dots")
    if not any(field for _, field, _, _ in parts):
        raise DataError(f"template {template!r} names no field: write {{field}} to insert a field's value")

    def render(row: Row) -> str:
        written = []
        for literal, field, _, _ in parts:
            written.append(literal)
            if field is not None:
                value = value_at(row, field)
                if isinstance(value, (int, float)) and not isinstance(value, bool):
                    written.append(str(value))
                else:
                    written.append(text_at(row, field))
        return "".join(written)

    return render


def fields_of_template(template: str) -> tuple[str, ...]:
    """The paths in a template.

    Raises:
        DataError: the template is malformed.
    """
    return tuple(field for _, field, _, _ in _parts(template) if field)


def render_conversation(path: str | None) -> Render:
    """A function that returns the messages at a path; by default at `messages`, or else at `conversations`."""

    def render(row: Row) -> Content:
        found = path or next((name for name in CONVERSATION_FIELDS if name in row), CONVERSATION_FIELDS[0])
        return read_conversation(value_at(row, found), found)

    return render


def _parts(template: str) -> list[tuple[str, str | None, str | None, str | None]]:
    try:
        return list(string.Formatter().parse(template))
    except ValueError as error:
        raise DataError(f"template {template!r} is malformed: {error}") from error


def _hint(part: str, value: Any) -> str:
    if not isinstance(value, Mapping):
        return f": {part!r} is not a field of {type(value).__name__}"
    names = [str(name) for name in value]
    close = difflib.get_close_matches(part, names, n=2)
    suggestion = f"did you mean {' or '.join(close)}? " if close else ""
    return f": {suggestion}available fields: {', '.join(names) or 'none'}"
