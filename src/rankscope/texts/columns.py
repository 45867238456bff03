"""Rows of tables with columns: Parquet files, Arrow data sets on disk, hub data sets."""

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
    """The columns that the paths start with, and columns of ids; all columns if a path starts with none of them.

    Args:
        names: names of the available columns.
        paths: fields that are read from a row; None for any.
    """
    heads = [path if path in names else path.partition(".")[0] for path in paths or ()]
    if not heads or not set(heads) <= set(names):
        return list(names)  # the missing field is reported for a row, with all available names
    return [name for name in names if name in heads or name in ID_FIELDS]


def read_parquet(path: Path, paths: Sequence[str] | None) -> Iterator[LocatedRow | BadRow]:
    """The rows of a Parquet file; only the required columns are decoded.

    Raises:
        DataError: the file is not readable Parquet, or two columns have the same name.
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
    """The rows of a data set written by `save_to_disk`.

    Raises:
        DataError: the data set cannot be read, or has several splits.
    """
    import datasets

    try:
        table = datasets.load_from_disk(str(folder))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{folder} is not a readable Arrow data set: {error}") from error
    if isinstance(table, datasets.DatasetDict):
        raise DataError(f"{folder} has several splits: choose {' or '.join(str(folder / name) for name in table)}")
    for number, row in enumerate(plain_table(table, paths)):
        yield LocatedRow(f"{folder} row {number}", row)


def plain_table(table: Dataset, paths: Sequence[str] | None = None) -> Dataset:
    """A table of the datasets library whose rows are plain Python values.

    A format (torch, numpy, a selection of columns) is reset. Unused columns are not read. Images, audio and video stay
    in their stored form, `{"bytes", "path"}`.
    """
    table = table.with_format(None)
    table = table.select_columns(wanted_columns(table.column_names, paths))
    for name, feature in table.features.items():
        stored = _as_stored(feature)
        if stored != feature:
            table = table.cast_column(name, stored)
    return table


def _as_stored(feature: Any) -> Any:
    """The same feature without decoding, at any depth."""
    if isinstance(feature, dict):
        return {name: _as_stored(inner) for name, inner in feature.items()}
    if isinstance(feature, (list, tuple)):
        return type(feature)(_as_stored(inner) for inner in feature)
    if not dataclasses.is_dataclass(feature) or isinstance(feature, type):
        return feature
    if getattr(feature, "decode", False) is True and type(feature).__name__ != "Json":  # JSON holds text and values
        return dataclasses.replace(feature, decode=False)
    if hasattr(feature, "feature"):
        return dataclasses.replace(feature, feature=_as_stored(feature.feature))
    return feature
