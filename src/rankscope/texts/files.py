"""Rows of local files: JSON lines, JSON, CSV, TSV, Parquet, plain text, folders of these, Arrow folders."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from rankscope.errors import DataError
from rankscope.texts.columns import read_arrow_folder, read_parquet
from rankscope.texts.compression import COMPRESSIONS, open_bytes
from rankscope.texts.delimited import read_delimited
from rankscope.texts.folders import KINDS, data_files, is_arrow_folder, suffix_of
from rankscope.texts.json_rows import decoded, read_json, read_json_lines
from rankscope.texts.rows import BadRow, LocatedRow, refuse_bad_rows

LABELS = ".lst"


def read_files(paths: Sequence[Path]) -> Iterator[LocatedRow]:
    """The rows of files and folders; see `scan_files`.

    Raises:
        DataError: a file is missing, of an unknown type, or malformed.
    """
    return refuse_bad_rows(scan_files(paths))


def read_path(path: Path) -> Iterator[LocatedRow]:
    """The rows of one file or folder; see `scan_path`.

    Raises:
        DataError: a file is missing, of an unknown type, or malformed.
    """
    return refuse_bad_rows(scan_path(path))


def scan_files(paths: Sequence[Path], fields: Sequence[str] | None = None) -> Iterator[LocatedRow | BadRow]:
    """The rows of files and folders, one after the other, in the order given.

    A `.lst` file holds labels: it adds a field `label`, one per line, to the rows of the file before it, as in PIQA's
    release.

    Args:
        paths: files and folders.
        fields: fields that are read from a row, so that other columns need not be decoded; None for any.

    Raises:
        DataError: a file is missing, of an unknown type, or malformed as a whole.
    """
    for place, path in enumerate(paths):
        if path.suffix == LABELS:
            if place == 0:
                raise DataError(f"{path} holds only labels: put the data file before it")
            continue
        rows = scan_path(path, fields)
        following = paths[place + 1] if place + 1 < len(paths) else None
        yield from rows if following is None or following.suffix != LABELS else _with_labels(rows, following)


def scan_path(path: Path, fields: Sequence[str] | None = None) -> Iterator[LocatedRow | BadRow]:
    """The rows of one file or folder, including bad ones.

    Raises:
        DataError: as for `scan_files`.
    """
    if path.is_dir():
        return read_arrow_folder(path, fields) if is_arrow_folder(path) else _scan_folder(path, fields)
    if not path.is_file():
        raise DataError(f"data file not found: {path}")
    kind = suffix_of(path)
    if kind not in KINDS:
        raise DataError(
            f"unknown file type: {path}. Expected {', '.join(KINDS)} (also {', '.join(COMPRESSIONS)}), or an Arrow "
            "folder"
        )
    if kind == ".parquet":
        return read_parquet(path, fields)
    return _scan_bytes(path, kind)


def _scan_folder(folder: Path, fields: Sequence[str] | None) -> Iterator[LocatedRow | BadRow]:
    for file in data_files(folder).files:
        yield from scan_path(file, fields)


def _scan_bytes(path: Path, kind: str) -> Iterator[LocatedRow | BadRow]:
    with open_bytes(path) as file:
        if kind in (".jsonl", ".ndjson"):
            yield from read_json_lines(path, file)
        elif kind == ".json":
            yield from read_json(path, file.read())
        elif kind in (".csv", ".tsv"):
            delimiter = "," if kind == ".csv" else "\t"
            yield from read_delimited(path, file, delimiter, quoted=kind == ".csv")
        else:
            for number, line in enumerate(file, start=1):
                yield _line(f"{path}:{number}", line)


def _line(where: str, line: bytes) -> LocatedRow | BadRow:
    if b"\0" in line:
        return BadRow(where, "a NUL byte: not a text file, or not UTF-8")
    try:
        return LocatedRow(where, {"text": decoded(line.rstrip(b"\r\n"))})
    except DataError as error:
        return BadRow(where, str(error))


def _with_labels(rows: Iterator[LocatedRow | BadRow], labels: Path) -> Iterator[LocatedRow | BadRow]:
    if not labels.is_file():
        raise DataError(f"file of labels not found: {labels}")
    lines = (line.row["text"].strip() for line in refuse_bad_rows(_scan_bytes(labels, ".txt")))
    for row in rows:
        label = next(lines, None)
        if label is None:
            raise DataError(f"{labels} has fewer lines than the data has rows: no label for {row.where}")
        yield row if isinstance(row, BadRow) else LocatedRow(row.where, {**row.row, "label": label})
    if (left := sum(bool(line) for line in lines)) > 0:
        raise DataError(f"{labels} has {left} more lines than the data has rows")


def read_text(path: Path) -> str:
    """The whole content of a text file.

    Raises:
        DataError: the file cannot be read, is not UTF-8, or is damaged or truncated.
    """
    with open_bytes(path) as file:
        content = file.read()
    try:
        return decoded(content)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
