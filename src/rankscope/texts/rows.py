"""Rows and the strings in them: fields by path, templates.

A path is a field's name, or names and list places joined by dots: `question.stem`, `choices.text.0`.
"""

from __future__ import annotations

import difflib
import string
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from rankscope.errors import DataError

Row = Mapping[str, Any]
Render = Callable[[Row], str | None]
"""From a row to its text; None where the row is no part of the data set by its definition."""


class LocatedRow(NamedTuple):
    """A row and where it stands, for messages: `file.jsonl:17`."""

    where: str
    row: Row


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
        raise DataError(
            f"field {path!r} holds {type(value).__name__}, not text: name the text inside it (a.b), or use --template"
        )
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
    try:
        parts = [(literal, field, form, change) for literal, field, form, change in string.Formatter().parse(template)]
    except ValueError as error:
        raise DataError(f"template {template!r} is malformed: {error}") from error
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


def _hint(part: str, value: Any) -> str:
    if not isinstance(value, Mapping):
        return f": {part!r} does not lead into {type(value).__name__}"
    names = [str(name) for name in value]
    close = difflib.get_close_matches(part, names, n=2)
    return f": {'did you mean ' + ' or '.join(close) + '? ' if close else ''}fields there: {', '.join(names) or 'none'}"
