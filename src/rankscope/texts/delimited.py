r"""CSV and TSV.

CSV follows RFC 4180: a field that begins with a quote ends at the next single quote, may contain delimiters and line
breaks, and doubles its quotes. TSV has no quoting: a quote is an ordinary character. Lines end with \n, \r\n or \r;
empty lines are ignored. Values stay strings.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from rankscope.errors import DataError
from rankscope.texts.rows import BadRow, LocatedRow, repeated

_LINE_ENDS = "\r\n"
# Bytes that are not UTF-8, as decoded by surrogateescape.
_NOT_UTF8 = re.compile("[\udc80-\udcff]")


def read_delimited(path: Path, content: IO[bytes], delimiter: str, *, quoted: bool) -> Iterator[LocatedRow | BadRow]:
    """The rows of a file whose first line names the columns.

    A row with too many or too few fields, or with invalid bytes, is bad by itself. A misplaced quote stops the reading,
    because the start of the next row would be a guess.

    Args:
        path: the file's path, for error messages.
        content: the open file.
        delimiter: separates fields.
        quoted: whether fields may be quoted.

    Raises:
        DataError: the file has no header line, two columns of the same name, or a misplaced quote.
    """
    text = io.TextIOWrapper(content, "utf-8-sig", errors="surrogateescape", newline="")
    try:
        yield from _rows(_Lines(path, text), delimiter, quoted=quoted)
    finally:
        text.detach()  # the caller closes the file


def _rows(lines: _Lines, delimiter: str, *, quoted: bool) -> Iterator[LocatedRow | BadRow]:
    names: list[str] | None = None
    for line in lines:
        if not line.rstrip(_LINE_ENDS):
            continue
        start = lines.number
        lines.fault = _fault(line)
        fields = _split(line, lines, delimiter) if quoted and '"' in line else _plain(line, delimiter)
        where = f"{lines.path}:{start}"
        if names is None:
            names = _names(fields, lines.fault, where)
        elif lines.fault:
            yield BadRow(where, lines.fault)
        elif len(fields) != len(names):
            yield BadRow(where, f"expected {len(names)} fields, as in the first line, got {len(fields)}")
        else:
            yield LocatedRow(where, dict(zip(names, fields, strict=True)))
    if names is None:
        raise DataError(f"{lines.path}: empty file: expected a first line with column names")


class _Lines:
    """Lines with their line endings, counted; remembers the first invalid line of a record."""

    def __init__(self, path: Path, text: Iterator[str]) -> None:
        self.path, self.number, self.fault = path, 0, ""
        self._lines = text

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self.number += 1
        return line

    def within_quotes(self, start: int) -> str:
        """The next line of a field that began in line `start`."""
        line = next(self, None)
        if line is None:
            raise DataError(f"{self.path}:{start}: a quote is opened here and never closed")
        self.fault = self.fault or _fault(line)
        return line


def _split(line: str, lines: _Lines, delimiter: str) -> list[str]:
    """The fields of the record that begins in this line; reads more lines if the record spans several."""
    fields: list[str] = []
    position = 0
    while True:
        if line.startswith('"', position):
            field, line, position = _quoted(line, position + 1, lines)
            end = position
            if not line.startswith(delimiter, end) and line[end:].rstrip(_LINE_ENDS):
                raise DataError(
                    f"{lines.path}:{lines.number}: text after a closing quote: inside a quoted field, write a quote "
                    'twice ("")'
                )
        else:
            end = line.find(delimiter, position)
            field = (line[position:] if end < 0 else line[position:end]).rstrip(_LINE_ENDS)
        fields.append(field)
        if not line.startswith(delimiter, end) or end < 0:
            return fields
        position = end + len(delimiter)


def _quoted(line: str, position: int, lines: _Lines) -> tuple[str, str, int]:
    """A quoted field, the line in which it ends, and the position after its closing quote."""
    start = lines.number
    pieces: list[str] = []
    while True:
        end = line.find('"', position)
        if end < 0:
            pieces.append(line[position:])
            line, position = lines.within_quotes(start), 0
        elif line.startswith('"', end + 1):
            pieces.append(line[position : end + 1])
            position = end + 2
        else:
            pieces.append(line[position:end])
            return "".join(pieces), line, end + 1


def _plain(line: str, delimiter: str) -> list[str]:
    return line.rstrip(_LINE_ENDS).split(delimiter)


def _names(names: list[str], fault: str, where: str) -> list[str]:
    if fault:
        raise DataError(f"{where}: {fault}")
    if (twice := repeated(name for name in names if name)) is not None:
        raise DataError(f"{where}: two columns are named {twice!r}: rename one of them")
    return names


def _fault(line: str) -> str:
    """Why a line is not valid text; empty if it is."""
    if "\0" in line:
        return f"a NUL byte at column {line.index(chr(0)) + 1}: not a text file, or not UTF-8"
    if not line.isascii() and (found := _NOT_UTF8.search(line)):
        return f"not UTF-8: byte {ord(found[0]) - 0xDC00:#04x} at column {found.start() + 1}"
    return ""
