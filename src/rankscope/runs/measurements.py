"""A run's measurements: names of the files, and functions to read them together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import polars as pl

from rankscope.errors import RunFolderError, first_line
from rankscope.measuring import pair_columns, text_columns
from rankscope.runs.addresses import Place
from rankscope.runs.manifest import UnitRecord, kind_of_run, read_identity, read_unit, unit_file
from rankscope.runs.parquet import from_parquet
from rankscope.runs.storage import Storage, storage_of

if TYPE_CHECKING:
    from rankscope.measuring import Schema

MEASUREMENTS = "measurements"
PARTS = f"{MEASUREMENTS}/parts"
_COLUMNS = {"evaluation": text_columns, "alignment": pair_columns}


def columns_of(kind: str) -> Schema:
    """The columns of the measurements of an `evaluation` or an `alignment`."""
    return _COLUMNS[kind]()


def part_file(unit: str, batch: int) -> str:
    """The name of the file with a batch of an unfinished unit."""
    return f"{PARTS}/{unit}/{batch:06d}.parquet"


def whole_file(unit: str) -> str:
    """The name of the file of a finished unit."""
    return f"{MEASUREMENTS}/{unit}.parquet"


def batch_of(part: str) -> int:
    """The number of the batch in a file."""
    return int(PurePosixPath(part).stem)


def read_measurements(place: Storage | Place) -> pl.DataFrame:
    """All measurements of a run, unit by unit, with the existing batches of unfinished units.

    Raises:
        RunFolderError: the folder is not a run's folder, or a file is damaged.
    """
    storage = storage_of(place)
    return pl.concat([pl.DataFrame(schema=_columns_in(storage)), *read_each_model(storage)])


def read_each_model(place: Storage | Place) -> Iterator[pl.DataFrame]:
    """Like `read_measurements`, but one model and data set at a time, as a long run may not fit into memory.

    Yields:
        The measurements of a model's trained network and of its twins on one data set.

    Raises:
        RunFolderError: the folder is not a run's folder, or a file is damaged.
    """
    storage = storage_of(place)
    columns = _columns_in(storage)
    finished, parts = files_by_unit(storage)
    files = parts | {unit: [file] for unit, file in finished.items()}
    for _, units in groupby(sorted(files), lambda unit: unit.rpartition("_")[0]):  # the name ends with the role
        records = {unit: None if unit in finished else read_unit(storage, unit) for unit in units}
        yield pl.concat([read_joined(storage, unit, files[unit], columns, known) for unit, known in records.items()])


def _columns_in(storage: Storage) -> Schema:
    kind = kind_of_run(read_identity(storage))
    if kind not in _COLUMNS:
        raise RunFolderError(f"{storage.place} contains a run of the kind {kind!r}: was it written by another version?")
    return columns_of(kind)


def files_by_unit(storage: Storage) -> tuple[dict[str, str], dict[str, list[str]]]:
    """The file of each finished unit, and the batch files of other units, by name of the unit."""
    finished: dict[str, str] = {}
    parts: dict[str, list[str]] = defaultdict(list)
    for name in storage.names(MEASUREMENTS):
        path = PurePosixPath(name)
        if path.suffix != ".parquet":
            continue
        if str(path.parent) == MEASUREMENTS:
            finished[path.stem] = name
        elif str(path.parent.parent) == PARTS and path.stem.isdecimal():
            parts[path.parent.name].append(name)
    return finished, dict(parts)


def read_joined(
    storage: Storage, unit: str, files: Sequence[str], columns: Schema, record: UnitRecord | None = None
) -> pl.DataFrame:
    """The measurements in some files of a unit, sorted as specified by its record, if given.

    Raises:
        RunFolderError: a file is missing or damaged.
    """
    joined = _joined(storage, files, columns, unit)
    return joined if record is None else _in_order(joined, record, unit)


def read_file(storage: Storage, name: str) -> pl.DataFrame:
    """The measurements in one file.

    Raises:
        RunFolderError: the file is missing or damaged.
    """
    content = storage.read(name)
    if content is None:
        raise RunFolderError(f"{storage.called(name)} is missing: repeat the run's command to measure it again")
    return from_parquet(content, storage.called(name))


def _in_order(measurements: pl.DataFrame, record: UnitRecord, unit: str) -> pl.DataFrame:
    """Sorts measurements by text, then by the order in the record."""
    order = list(record.order)
    try:
        depth = pl.col(record.column).replace_strict(order, range(len(order)), return_dtype=pl.Int64)
        return measurements.sort("text_index", depth)
    except pl.exceptions.PolarsError as error:
        raise RunFolderError(
            f"the batches of {unit} do not have the {record.column}s that {unit_file(unit)} names: {first_line(error)}"
        ) from error


def _joined(storage: Storage, files: Sequence[str], columns: Schema, unit: str) -> pl.DataFrame:
    """All rows of the files, or of the unit's joined file if another process has just joined its batches.

    A column that a file of an earlier version lacks is None. Columns of later versions are dropped.
    """
    contents = storage.read_each(files)
    if None in contents and list(files) != [whole_file(unit)] and storage.exists(whole_file(unit)):
        return _joined(storage, [whole_file(unit)], columns, unit)
    gone = [storage.called(name) for name, content in zip(files, contents, strict=True) if content is None]
    if gone:
        raise RunFolderError(f"{gone[0]} is missing: repeat the run's command to measure it again")
    tables = [
        from_parquet(content, storage.called(name))
        for name, content in zip(files, contents, strict=True)
        if content is not None
    ]
    try:
        return pl.concat([pl.DataFrame(schema=columns), *tables], how="diagonal").select(list(columns))
    except pl.exceptions.PolarsError as error:
        raise RunFolderError(
            f"the measurements in {storage.called(MEASUREMENTS)} cannot be read together: {first_line(error)}"
        ) from error
