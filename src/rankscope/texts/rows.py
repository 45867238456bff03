"""Rows and the strings in them: fields by path, templates.

A path is a field's name, or names and list places joined by dots: `question.stem`, `choices.text.0`.
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
"""From a row to its text or messages; None where the row is no part of the data set by its definition."""

ID_FIELDS = ("id", "_id", "uid", "qID", "uuid", "question_id", "text_id")


def own_id(row: Row, fields: Sequence[str] = ID_FIELDS) -> str | None:
    """The data set's own id of a row, where it has one: a number or a text in the first such field."""
    for name in fields:
        value = row.get(name)
        if isinstance(value, (str, int)) and not isinstance(value, bool) and value != "":
            return str(value).encode("utf-8", "replace").decode()
    return None


class LocatedRow(NamedTuple):
    """A row and where it stands, for messages: `file.jsonl:17`."""

    where: str
    row: Row


class BadRow(NamedTuple):
    """A row that cannot be read though those around it can: where it stands, and why."""

    where: str
    reason: str


def refuse_bad_rows(rows: Iterable[LocatedRow | BadRow]) -> Iterator[LocatedRow]:
    """The same rows.

    Raises:
        DataError: at the first bad one.
    """
    for row in rows:
        if isinstance(row, BadRow):
            raise DataError(f"{row.where}: {row.reason}")
        yield row


def repeated(names: Iterable[str]) -> str | None:
    """The first name that comes a second time."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return None


def value_at(row: Row, path: str) -> Any:
    """The value at a path.

    Raises:
        DataError: there is none; the message lists the fields that are there.
    """
    if isinstance(row, Mapping) and path in row:  # rows inside rows come from files
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
        DataError: no such field, or a value of another kind.
    """
    value = value_at(row, path)
    if value is None:
        return ""
    if not isinstance(value, str):
        hint = (
            "a list of messages, not text: --chat writes them with the model's chat template"
            if are_messages(value)
            else f"{type(value).__name__}, not text: name the text inside it (a.b), or use --template"
        )
        raise DataError(f"field {path!r} holds {hint}")
    if not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value):
        raise DataError(f"field {path!r} holds half of a character (a lone surrogate), which is no text: mend the file")
    return value


def render_field(path: str) -> Render:
    """Texts are the strings at a path."""
    return lambda row: text_at(row, path)


def render_template(template: str) -> Render:
    """Texts are a template with paths in braces, such as `{question} {choices.text.0}`.

    `{{` and `}}` stand for braces. Numbers are written as they are. Nothing but the row's own
    fields can be reached.

    Raises:
        DataError: the template is malformed, or names no field.
    """
    parts = _parts(template)
    if any(form or change for _, _, form, change in parts):
        raise DataError(f"template {template!r}: fields take no format (':' or '!'), only names and dots")
    if not any(field for _, field, _, _ in parts):
        raise DataError(f"template {template!r} names no field: write {{field}} where a field's value goes")

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
    """The paths that a template reads.

    Raises:
        DataError: it is malformed.
    """
    return tuple(field for _, field, _, _ in _parts(template) if field)


def render_conversation(path: str | None) -> Render:
    """The messages at a path; of None at `messages`, or at `conversations` where there is no such field."""

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
        return f": {part!r} does not lead into {type(value).__name__}"
    names = [str(name) for name in value]
    close = difflib.get_close_matches(part, names, n=2)
    return f": {'did you mean ' + ' or '.join(close) + '? ' if close else ''}fields there: {', '.join(names) or 'none'}"
