"""Rows of JSON lines and of JSON files."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from rankscope.errors import DataError
from rankscope.texts.rows import BadRow, LocatedRow, repeated

_TOO_DEEP_OR_LONG = (RecursionError, ValueError)  # thousands of nesting levels, or an integer of thousands of digits


def read_json_lines(path: Path, lines: Iterable[bytes]) -> Iterator[LocatedRow | BadRow]:
    r"""One object per line; empty lines are ignored.

    Lines end only with the byte \n: texts may contain U+2028, at which `str.splitlines` would break them.
    """
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        where = f"{path}:{number}"
        try:
            yield LocatedRow(where, _object(_parse(decoded(line.rstrip(b"\r\n")))))
        except DataError as error:
            yield BadRow(where, str(error))


def read_json(path: Path, content: bytes) -> Iterator[LocatedRow | BadRow]:
    """The objects of a list, or of the only list that an object holds; also JSON lines in a .json file.

    Raises:
        DataError: the content is not JSON, or has another shape.
    """
    try:
        text = decoded(content)
        value = json.loads(text, object_pairs_hook=_without_repeats)
    except json.JSONDecodeError as error:
        if error.msg == "Extra data":
            yield from read_json_lines(path, content.split(b"\n"))
            return
        raise DataError(f"{path}:{error.lineno}: not JSON: {error.msg}") from error
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
    except _TOO_DEEP_OR_LONG as error:
        raise DataError(f"{path}: unreadable JSON: {error}") from error
    if isinstance(value, dict):
        lists = [name for name, inner in value.items() if isinstance(inner, list)]
        if len(lists) != 1:
            raise DataError(
                f"{path}: expected a list of objects, or an object that holds one list; got {len(lists)} lists"
            )
        value = value[lists[0]]
    if not isinstance(value, list):
        raise DataError(f"{path}: expected a list of objects, got {type(value).__name__}")
    for number, item in enumerate(value):
        where = f"{path} item {number}"
        try:
            yield LocatedRow(where, _object(item))
        except DataError as error:
            yield BadRow(where, str(error))


def decoded(content: bytes) -> str:
    """Decodes UTF-8, without a byte order mark.

    Raises:
        DataError: the content is not UTF-8.
    """
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"not UTF-8: byte {error.object[error.start]:#04x} at {error.start}") from error


def _parse(line: str) -> Any:
    try:
        return json.loads(line, object_pairs_hook=_without_repeats)
    except json.JSONDecodeError as error:
        raise DataError(f"not JSON: {error.msg} at column {error.colno}") from error
    except _TOO_DEEP_OR_LONG as error:
        raise DataError(f"unreadable JSON: {error}") from error


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise DataError(f"two fields are named {repeated(name for name, _ in pairs)!r}: rename one of them")
    return found


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise DataError(f"expected an object with fields, got {type(value).__name__}")
    return value
