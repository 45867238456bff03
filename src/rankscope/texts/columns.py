"""Rows of tables with columns: Parquet files, Arrow data sets on disk, data sets of the hub."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rankscope.errors import DataError
from rankscope.texts.rows import ID_FIELDS, BadRow, LocatedRow, repeated

if TYPE_CHECKING:
    from datasets import Dataset


def wanted_columns(names: Sequence[str], paths: Sequence[str] | None) -> list[str]:
    """The columns that paths lead into, and those with ids; all of them where a path leads into none.

    Args:
        names: of the columns that there are.
        paths: what is read of a row; None for anything.
    """
    heads = [path if path in names else path.partition(".")[0] for path in paths or ()]
    if not heads or not set(heads) <= set(names):
        return list(names)  # what is missing is said of a row, with all the names that are there
    return [name for name in names if name in heads or name in ID_FIELDS]


def read_parquet(path: Path, paths: Sequence[str] | None) -> Iterator[LocatedRow | BadRow]:
    """The rows of a Parquet file; only the columns that are asked for are decoded.

    Raises:
        DataError: not a readable Parquet file, or two columns of one name.
    """
    import pyarrow as pa
    from pyarrow import parquet

    number = 0
    try:
        with parquet.ParquetFile(path) as file:
            names = file.schema_arrow.names
            if (twice := repeated(names)) is not None:
                raise DataError(f"{path}: two columns are named {twice!r}: rename one of them")
            for batch in file.iter_batches(batch_size=1024, columns=wanted_columns(names, paths)):
                for row in batch.to_pylist():
                    yield LocatedRow(f"{path} row {number}", row)
                    number += 1
    except (pa.ArrowException, UnicodeDecodeError, OSError) as error:
        raise DataError(f"{path} is not a readable Parquet file: {error}") from error


def read_arrow_folder(folder: Path, paths: Sequence[str] | None) -> Iterator[LocatedRow | BadRow]:
    """The rows of a data set that `save_to_disk` wrote.

    Raises:
        DataError: it cannot be read, or holds several splits.
    """
    import datasets

    try:
        table = datasets.load_from_disk(str(folder))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{folder} is not a readable Arrow data set: {error}") from error
    if isinstance(table, datasets.DatasetDict):
        raise DataError(f"{folder} holds several splits: name one, {' or '.join(str(folder / name) for name in table)}")
    for number, row in enumerate(plain_table(table, paths)):
        yield LocatedRow(f"{folder} row {number}", row)


def plain_table(table: Dataset, paths: Sequence[str] | None = None) -> Dataset:
    """A table of the datasets library whose rows are plain Python values.

    A format that was set (torch, numpy, some of the columns) is reset. Columns that nobody asks for are not read, and
    images, audio and video stay as they are stored, `{"bytes", "path"}`.
    """
    table = table.with_format(None)
    table = table.select_columns(wanted_columns(table.column_names, paths))
    for name, feature in table.features.items():
        stored = _as_stored(feature)
        if stored != feature:
            table = table.cast_column(name, stored)
    return table


def _as_stored(feature: Any) -> Any:
    """The same feature, not decoded, at whatever depth."""
    if isinstance(feature, dict):
        return {name: _as_stored(inner) for name, inner in feature.items()}
    if isinstance(feature, (list, tuple)):
        return type(feature)(_as_stored(inner) for inner in feature)
    if not dataclasses.is_dataclass(feature) or isinstance(feature, type):
        return feature
    if getattr(feature, "decode", False) is True and type(feature).__name__ != "Json":  # that is text and values
        return dataclasses.replace(feature, decode=False)
    if hasattr(feature, "feature"):
        return dataclasses.replace(feature, feature=_as_stored(feature.feature))
    return feature
