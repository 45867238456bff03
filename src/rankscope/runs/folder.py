"""A run's folder: what is in it, who may write to it, and how a kill leaves it whole.

    manifest.json           what was asked for, on which versions; written first
    measurements/*.parquet  one file for each finished unit: a model, a data set, a role and a seed
    measurements/parts/     one file for each finished batch of a unit that is not finished yet
    summary.json            written last
    .locks/                 one lock for each unit, held by the process that measures it

Every file is written beside its place and moved there, so it is there as a whole or not at all. Several processes
may work in a folder, each on other units.
"""

from __future__ import annotations

import json
import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from rankscope.atomic import write_frame, write_text
from rankscope.errors import RunFolderError, first_line
from rankscope.measuring import pair_columns, text_columns
from rankscope.runs.identity import difference_in_words
from rankscope.runs.locks import Locks
from rankscope.runs.manifest import MANIFEST, kind_of_run, new_manifest, read_manifest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rankscope.measuring import Row, Schema

_COLUMNS = {"evaluation": text_columns, "alignment": pair_columns}

SUMMARY = "summary.json"
READINGS = "readings"
"""The folder that says how networks read texts: a file for each unit of a trained model."""


@dataclass(frozen=True)
class RunFolder:
    """A folder of this run, open for writing.

    Attributes:
        path: where.
        locks: of the folder and its units.
        kind: `evaluation` or `alignment`, which have different columns.
    """

    path: Path
    locks: Locks
    kind: str = "evaluation"

    @property
    def columns(self) -> Schema:
        """Of its measurements."""
        return _COLUMNS[self.kind]()

    @property
    def measurements(self) -> Path:
        """Where finished units are."""
        return self.path / "measurements"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """For a moment nobody else writes the manifest or the summary."""
        with self.locks.folder():
            yield

    @contextmanager
    def claim(self, unit: str, *, wait: bool) -> Iterator[bool]:
        """Within it, no other process measures a unit; yields whether that could be had.

        Args:
            unit: name.
            wait: until the process that measures it is done.
        """
        with self.locks.unit(unit, wait=wait) as ours:
            if ours:  # what a kill left behind
                for unfinished in [*self.path.rglob(f"{unit}.*unfinished"), *self._parts(unit).glob("*.unfinished")]:
                    unfinished.unlink(missing_ok=True)
            yield ours

    def is_finished(self, unit: str) -> bool:
        """Whether all batches of a unit are there."""
        return (self.measurements / f"{unit}.parquet").exists()

    def finished_batches(self, unit: str) -> set[int]:
        """The batches of an unfinished unit that are there."""
        return {int(part.stem) for part in self._parts(unit).glob("*.parquet")}

    def write_batch(self, unit: str, batch: int, rows: list[Row]) -> None:
        """Keeps one batch's rows for good.

        Raises:
            StorageError: the disk is full, or the folder cannot be written any more.
        """
        write_frame(self._parts(unit) / f"{batch:06d}.parquet", pl.DataFrame(rows, schema=self.columns))

    def finished_unit(self, unit: str) -> pl.DataFrame:
        """The measurements of a finished unit."""
        return _read(self.measurements / f"{unit}.parquet")

    def adopt_unit(self, unit: str, measurements: pl.DataFrame) -> None:
        """Keeps a whole unit that was measured elsewhere."""
        frame = pl.concat([pl.DataFrame(schema=self.columns), measurements], how="diagonal").select(list(self.columns))
        write_frame(self.measurements / f"{unit}.parquet", frame)

    def finish_unit(self, unit: str, order: tuple[str, ...], column: str = "layer") -> None:
        """Joins a unit's batches into one file, in the order of texts and, for each, of a column's values."""
        parts = sorted(self._parts(unit).glob("*.parquet"))
        depth = pl.col(column).replace_strict(list(order), range(len(order)), return_dtype=pl.Int64)
        frame = _joined(parts, self.columns)
        write_frame(self.measurements / f"{unit}.parquet", frame.sort("text_index", depth))
        shutil.rmtree(self._parts(unit), ignore_errors=True)

    def write_json(self, name: str, content: Any) -> None:
        """Writes a file of JSON; a NaN in it is a programming error and raises."""
        write_text(self.path / name, json.dumps(content, indent=2, allow_nan=False, ensure_ascii=False) + "\n")

    def _parts(self, unit: str) -> Path:
        return self.measurements / "parts" / unit


def open_run_folder(path: Path, identity: dict[str, Any], say: Callable[[str], None] = lambda _: None) -> RunFolder:
    """Creates a run's folder, or reopens it.

    Args:
        path: the folder.
        identity: what makes two runs the same; kept in the manifest, compared on reopening.
        say: told where the file system has no locks.

    Raises:
        RunFolderError: a run with other settings is there, or other files; or the folder cannot be written.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:  # ValueError: a name with a null character
        raise RunFolderError(f"cannot write to {path}: {getattr(error, 'strerror', None) or error}") from error
    folder = RunFolder(path, Locks(path, say), kind_of_run(identity))
    with folder.locked():
        if (path / MANIFEST).exists():
            _refuse_another_run(path, identity)
        else:
            _create(folder, identity)
        # Files at the top are written under this lock alone, so nobody is writing these any more.
        for unfinished in path.glob("*.unfinished"):
            unfinished.unlink(missing_ok=True)
    return folder


def read_measurements(path: Path) -> pl.DataFrame:
    """All measurements of a run, finished units and finished batches alike.

    Raises:
        RunFolderError: not a run's folder.
    """
    kind = kind_of_run(read_manifest(path)["identity"])
    if kind not in _COLUMNS:
        raise RunFolderError(f"{path} holds a run of the kind {kind!r}: made by another version?")
    finished = sorted((path / "measurements").glob("*.parquet"))
    units = {file.stem for file in finished}
    parts = sorted(
        part for part in (path / "measurements" / "parts").glob("*/*.parquet") if part.parent.name not in units
    )
    return _joined([*finished, *parts], _COLUMNS[kind]())


def _joined(files: list[Path], columns: Schema) -> pl.DataFrame:
    """All rows; files from before a column was kept have None there, and columns of later versions are left out."""
    try:
        return pl.concat([pl.DataFrame(schema=columns), *map(_read, files)], how="diagonal").select(list(columns))
    except pl.exceptions.PolarsError as error:
        raise RunFolderError(
            f"the measurements in {files[0].parent} cannot be read together: {first_line(error)}"
        ) from error


def _read(file: Path) -> pl.DataFrame:
    """Measurements in a file.

    Raises:
        RunFolderError: it is damaged.
    """
    try:
        with file.open("rb") as content:  # polars reads a pattern into some paths, and cannot open others
            return pl.read_parquet(content)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise RunFolderError(
            f"{file} cannot be read: {first_line(error)}. Restore it, or remove it and repeat the command"
        ) from error


def _create(folder: RunFolder, identity: dict[str, Any]) -> None:
    others = [entry.name for entry in folder.path.iterdir() if not folder.locks.holds(entry)]
    others = [name for name in others if not name.endswith(".unfinished")]
    if others:
        raise RunFolderError(
            f"{folder.path} holds other files ({others[0]}) and no {MANIFEST}: choose an empty or a new folder"
        )
    folder.write_json(MANIFEST, new_manifest(identity))


def _refuse_another_run(path: Path, identity: dict[str, Any]) -> None:
    if difference := difference_in_words(path, read_manifest(path), identity):
        raise RunFolderError(difference)
