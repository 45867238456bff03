"""A run's folder: its files, concurrent access, and consistency after a process is killed.

    manifest.json           the call; written once, as the first file
    units/, sessions/       what units depend on, and which processes worked on them; see `manifest`
    measurements/*.parquet  one file for each finished unit: a model, a data set, a role and a seed
    measurements/parts/     one file for each finished batch of an unfinished unit
    readings/, integration/ further results: how networks read texts, and integration rates of alignments
    summary.json            written last
    .lock, .locks/          locks on the folder and on each unit being measured; none in object stores

Files are written atomically. Measurements are reproducible, so processes that write the same file write the same
content, and locks only prevent duplicate work.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import polars as pl

from rankscope.errors import RunFolderError
from rankscope.runs.addresses import Place
from rankscope.runs.identity import difference_in_words
from rankscope.runs.locks import Locks, NoLocks
from rankscope.runs.manifest import (
    MANIFEST,
    UnitRecord,
    kind_of_run,
    new_manifest,
    read_manifest,
    to_json,
)
from rankscope.runs.measurements import (
    PARTS,
    batch_of,
    columns_of,
    part_file,
    read_file,
    read_joined,
    whole_file,
)
from rankscope.runs.parquet import to_parquet
from rankscope.runs.storage import LocalFolder, Storage, local_path, storage_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rankscope.measuring import Row, Schema

SUMMARY = "summary.json"
READINGS = "readings"
"""The folder that records how networks read texts, with a file for each unit of a trained model."""


@dataclass(frozen=True)
class RunFolder:
    """A run's folder, open for writing.

    Attributes:
        storage: Storage of its files.
        locks: Locks on the folder and its units.
        kind: `evaluation` or `alignment`, which have different columns.
    """

    storage: Storage
    locks: Locks | NoLocks
    kind: str = "evaluation"

    @property
    def place(self) -> Place:
        """The folder's path or address."""
        return self.storage.place

    @property
    def path(self) -> Path:
        """The folder's path.

        Raises:
            SettingsError: the folder is in an object store.
        """
        return local_path(self.place, "this operation")

    @property
    def columns(self) -> Schema:
        """Columns of the measurements."""
        return columns_of(self.kind)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Holds the lock on the folder's shared files; use it only briefly."""
        with self.locks.folder():
            self.storage.sweep("*")
            yield

    @contextmanager
    def claim(self, unit: str, *, wait: bool) -> Iterator[bool]:
        """Claims a unit for this process within the context; yields False if another process has claimed it.

        Args:
            unit: Name of the unit.
            wait: Whether to wait until the other process is done.
        """
        with self.locks.unit(unit, wait=wait) as ours:
            if ours:
                self.storage.sweep(f"**/{unit}.*")
                self.storage.sweep(f"{PARTS}/{unit}/*")
            yield ours

    def is_finished(self, unit: str) -> bool:
        """Whether a unit is finished, with all batches in one file."""
        return self.storage.exists(whole_file(unit))

    def finished_batches(self, unit: str) -> set[int]:
        """Numbers of the existing batches of an unfinished unit."""
        names = self.storage.names(f"{PARTS}/{unit}")
        return {batch_of(name) for name in names if PurePosixPath(name).stem.isdecimal()}

    def write_batch(self, unit: str, batch: int, rows: list[Row]) -> None:
        """Saves the rows of one batch.

        Raises:
            StorageError: the disk is full, or the folder is no longer writable.
        """
        self.write_frame(part_file(unit, batch), pl.DataFrame(rows, schema=self.columns))

    def write_frame(self, name: str, frame: pl.DataFrame) -> None:
        """Saves measurements in a file, with the columns of this version.

        Raises:
            StorageError: the disk is full, or the folder is no longer writable.
        """
        whole = pl.concat([pl.DataFrame(schema=self.columns), frame], how="diagonal").select(list(self.columns))
        self.storage.write(name, to_parquet(whole))

    def finished_unit(self, unit: str) -> pl.DataFrame:
        """The measurements of a finished unit."""
        return read_file(self.storage, whole_file(unit))

    def adopt_unit(self, unit: str, measurements: pl.DataFrame) -> None:
        """Saves the measurements of a whole unit that were made elsewhere."""
        self.write_frame(whole_file(unit), measurements)

    def finish_unit(self, unit: str, record: UnitRecord) -> None:
        """Joins a unit's batches into one file, unless another process has already done so.

        Raises:
            RunFolderError: a batch is missing or damaged.
        """
        if not self.is_finished(unit):
            names = [part_file(unit, batch) for batch in range(record.batches)]
            whole = read_joined(self.storage, unit, names, self.columns, record)
            self.storage.write(whole_file(unit), to_parquet(whole))
        self.storage.remove(f"{PARTS}/{unit}")

    def write_json(self, name: str, content: Any) -> None:
        """Writes a JSON file; NaN is a programming error and raises ValueError."""
        self.storage.write(name, to_json(content))


def open_run_folder(
    place: Place,
    identity: dict[str, Any],
    say: Callable[[str], None] = lambda _: None,
    units: Sequence[str] = (),
) -> RunFolder:
    """Creates a run's folder, or reopens it.

    Args:
        place: The folder's path or address.
        identity: The run's identity; written to the manifest, and compared with it on reopening.
        say: Receives a warning if the file system does not support locks.
        units: Names of all units of the run.

    Raises:
        RunFolderError: the folder contains a run with another identity, or other files, or is not writable.
        StorageError: the store does not answer.
    """
    storage = storage_of(place)
    storage.prepare()
    locks = Locks(storage.path, say) if isinstance(storage, LocalFolder) else NoLocks()
    folder = RunFolder(storage, locks, kind_of_run(identity))
    if not storage.exists(MANIFEST):
        with folder.locked():
            _create(folder, identity, units)
    _refuse_another_run(storage, identity)
    return folder


def _create(folder: RunFolder, identity: dict[str, Any], units: Sequence[str]) -> None:
    storage = folder.storage
    other = storage.other_file(folder.locks.names)
    if storage.exists(MANIFEST):
        return  # another process was faster
    if other is not None:
        raise RunFolderError(
            f"{storage.place} contains other files ({other}) and no {MANIFEST}: choose an empty or new folder"
        )
    storage.create(MANIFEST, to_json(new_manifest(identity, units)))


def _refuse_another_run(storage: Storage, identity: dict[str, Any]) -> None:
    manifest = read_manifest(storage)
    if difference := difference_in_words(storage.place, manifest, json.loads(json.dumps(identity))):
        raise RunFolderError(difference)
