r"""Rows of local files: JSON lines, JSON, CSV, Parquet, plain text, folders of these, Arrow folders.

JSON lines and plain text are read line by line on the byte \n alone: some texts hold U+2028, at
which `str.splitlines` would break them, and a malformed line can be named. CSV and Parquet go
through pyarrow, on which the datasets library builds, because it streams and needs no cache.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from rankscope.errors import DataError
from rankscope.texts.rows import LocatedRow

SUFFIXES = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet", ".txt")
LABELS = ".lst"
_NOT_GZIP = (gzip.BadGzipFile, EOFError, zlib.error)
_TOO_DEEP_OR_LONG = (RecursionError, ValueError)  # nested a thousand times, an integer of thousands of digits


def read_files(paths: Sequence[Path]) -> Iterator[LocatedRow]:
    """The rows of files and folders, one after the other, in the order given.

    A `.lst` file is no data file: it gives the rows of the file before it a field `label`, one a line,
    as PIQA's release does.

    Raises:
        DataError: a file that is missing, of an unknown kind, or malformed.
    """
    for place, path in enumerate(paths):
        if path.suffix == LABELS:
            if place == 0:
                raise DataError(f"{path} holds labels only: give the data file before it")
            continue
        rows = read_path(path)
        following = paths[place + 1] if place + 1 < len(paths) else None
        yield from rows if following is None or following.suffix != LABELS else _with_labels(rows, following)


def read_path(path: Path) -> Iterator[LocatedRow]:
    """The rows of one file or folder."""
    if path.is_dir():
        return _read_folder(path)
    if not path.is_file():
        raise DataError(f"no such data file: {path}")
    kind = kind_of(path)
    if kind in (".jsonl", ".ndjson"):
        return _read_json_lines(path)
    if kind == ".json":
        return _read_json(path)
    if kind in (".csv", ".tsv"):
        return _read_csv(path, "\t" if kind == ".tsv" else ",")
    if kind == ".parquet":
        return _read_parquet(path)
    if kind == ".txt":
        return (LocatedRow(f"{path}:{number}", {"text": line}) for number, line in _lines(path))
    raise DataError(f"{path} is of no kind that can be read: {', '.join(SUFFIXES)} (also .gz), or an Arrow folder")


def kind_of(path: Path) -> str:
    """The suffix that tells a file's kind, without .gz."""
    return Path(path.stem).suffix.lower() if path.suffix == ".gz" else path.suffix.lower()


def _read_folder(folder: Path) -> Iterator[LocatedRow]:
    if (folder / "dataset_info.json").is_file() or (folder / "dataset_dict.json").is_file():
        yield from _read_arrow_folder(folder)
        return
    files = sorted(file for file in folder.iterdir() if file.is_file() and kind_of(file) in SUFFIXES)
    if not files:
        raise DataError(f"{folder} holds no data: no {', '.join(SUFFIXES)} file, and no Arrow data set")
    for file in files:
        yield from read_path(file)


def _read_arrow_folder(folder: Path) -> Iterator[LocatedRow]:
    import datasets

    try:
        table = datasets.load_from_disk(str(folder))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{folder} is not a readable Arrow data set: {error}") from error
    if isinstance(table, datasets.DatasetDict):
        raise DataError(f"{folder} holds several splits: name one, {' or '.join(str(folder / name) for name in table)}")
    for number, row in enumerate(table):
        yield LocatedRow(f"{folder} row {number}", row)


def _read_json_lines(path: Path) -> Iterator[LocatedRow]:
    for number, line in _lines(path):
        if line.strip():
            where = f"{path}:{number}"
            yield LocatedRow(where, _object(_parse(line, where), where))


def _read_json(path: Path) -> Iterator[LocatedRow]:
    try:
        content = json.loads(read_text(path))
    except json.JSONDecodeError as error:
        if error.msg == "Extra data":  # JSON lines under the name .json
            yield from _read_json_lines(path)
            return
        raise DataError(f"{path}:{error.lineno}: not JSON: {error.msg}") from error
    except _TOO_DEEP_OR_LONG as error:
        raise DataError(f"{path}: JSON that cannot be read: {error}") from error
    if isinstance(content, dict):
        lists = [name for name, value in content.items() if isinstance(value, list)]
        if len(lists) != 1:
            raise DataError(
                f"{path}: expected a list of objects, or an object that holds one list; got {len(lists)} lists"
            )
        content = content[lists[0]]
    if not isinstance(content, list):
        raise DataError(f"{path}: expected a list of objects, got {type(content).__name__}")
    for number, item in enumerate(content):
        yield LocatedRow(f"{path} item {number}", _object(item, f"{path} item {number}"))


def _read_csv(path: Path, delimiter: str) -> Iterator[LocatedRow]:
    import pyarrow as pa
    from pyarrow import csv

    options = {
        "parse_options": csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
        "read_options": csv.ReadOptions(block_size=1 << 24),
    }
    number = 0
    try:
        with csv.open_csv(path, **options) as reader:
            names = reader.schema.names
        strings = csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False)
        with csv.open_csv(path, convert_options=strings, **options) as reader:
            for batch in reader:
                for row in batch.to_pylist():
                    number += 1
                    yield LocatedRow(f"{path} row {number}", row)
    except (pa.ArrowInvalid, pa.ArrowKeyError, UnicodeError, OSError) as error:
        raise DataError(f"{path}: after row {number}: {error}") from error


def _read_parquet(path: Path) -> Iterator[LocatedRow]:
    import pyarrow as pa
    from pyarrow import parquet

    number = 0
    try:
        with path.open("rb") as content, parquet.ParquetFile(content) as file:
            for batch in file.iter_batches(batch_size=1024):
                for row in batch.to_pylist():
                    yield LocatedRow(f"{path} row {number}", row)
                    number += 1
    except (pa.ArrowException, UnicodeError, OSError) as error:
        raise DataError(f"{path} is not a readable Parquet file: {error}") from error


def _with_labels(rows: Iterator[LocatedRow], labels: Path) -> Iterator[LocatedRow]:
    if not labels.is_file():
        raise DataError(f"no such file of labels: {labels}")
    lines = (line.strip() for _, line in _lines(labels))
    for row in rows:
        label = next(lines, None)
        if label is None:
            raise DataError(f"{labels} has fewer lines than there are rows: none for {row.where}")
        yield LocatedRow(row.where, {**row.row, "label": label})
    if (left := sum(bool(line) for line in lines)) > 0:
        raise DataError(f"{labels} has {left} more lines than there are rows")


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    with _open(path) as file:
        try:
            for number, line in enumerate(file, start=1):
                content = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
                yield number, _decode(content.rstrip(b"\r\n"), f"{path}:{number}")
        except _NOT_GZIP as error:
            raise DataError(f"{path} is not a whole gzip file: {error}") from error


def read_text(path: Path) -> str:
    """All of a text file.

    Raises:
        DataError: not UTF-8, or not a whole gzip file.
    """
    try:
        with _open(path) as file:
            return _decode(file.read(), str(path))
    except _NOT_GZIP as error:
        raise DataError(f"{path} is not a whole gzip file: {error}") from error


def _open(path: Path) -> gzip.GzipFile | IO[bytes]:
    return gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")


def _decode(content: bytes, where: str) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{where}: not UTF-8: byte {error.object[error.start]:#04x} at {error.start}") from error


def _parse(line: str, where: str) -> Any:
    try:
        return json.loads(line)
    except json.JSONDecodeError as error:
        raise DataError(f"{where}: not JSON: {error.msg} at column {error.colno}") from error
    except _TOO_DEEP_OR_LONG as error:
        raise DataError(f"{where}: JSON that cannot be read: {error}") from error


def _object(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise DataError(f"{where}: expected an object with fields, got {type(value).__name__}")
    return value
