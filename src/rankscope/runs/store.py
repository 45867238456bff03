"""A run's folder: what is in it, who may write to it, and how a kill leaves it whole.

    manifest.json           what was asked for, on which versions; written first
    measurements/*.parquet  one file for each finished unit: a model, a data set, a role and a seed
    measurements/parts/     one file for each finished batch of a unit that is not finished yet
    summary.json            written last

Every file is written beside its place and moved there, so it is there as a whole or not at all.
"""

from __future__ import annotations

import errno
import json
import shutil
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
from filelock import BaseFileLock, FileLock, Timeout

from rankscope.errors import RunFolderError
from rankscope.metrics import metric_names
from rankscope.names import valid_text
from rankscope.runs.atomic import write_frame, write_whole
from rankscope.runs.identity import difference_in_words

if TYPE_CHECKING:
    from collections.abc import Iterator

Row = dict[str, str | int | float | list[float] | None]
Schema = dict[str, pl.DataType | type[pl.DataType]]


def evaluation_schema() -> Schema:
    """The columns of measurements, in order.

    `cut`: the text goes on after its tokens. Eigenvalues: of a few texts only.
    """
    return {
        "model": pl.String,
        "dataset": pl.String,
        "text_index": pl.Int64,
        "text_id": pl.String,
        "layer": pl.String,
        "role": pl.String,
        "seed": pl.Int64,
        "n_tokens": pl.Int64,
        "cut": pl.Boolean,
        "hidden_size": pl.Int64,
        "status": pl.String,
        "reason": pl.String,
        **dict.fromkeys(metric_names(), pl.Float64),
        "eigenvalues": pl.List(pl.Float32),
    }


REPRESENTATIONS = tuple(str(place) for place in range(1, 6))
"""Of an image and a text: 1 after the encoder, 2 after the connector, 3 the image, 4 the text, 5 both."""

ALIGNMENT_SCHEMA: Schema = {
    "model": pl.String,
    "dataset": pl.String,
    "text_index": pl.Int64,
    "text_id": pl.String,
    "control": pl.String,
    "status": pl.String,
    "reason": pl.String,
    **{f"n_tokens{place}": pl.Int64 for place in REPRESENTATIONS},
    **{f"matrix_entropy{place}": pl.Float64 for place in REPRESENTATIONS},
    **{f"erank{place}": pl.Float64 for place in REPRESENTATIONS},
    "image_reduction_ratio": pl.Float64,
    "image_text_alignment": pl.Float64,
    "loss": pl.Float64,
}
"""The columns of measurements of images and texts, in order."""

_SCHEMAS: dict[str, Callable[[], Schema]] = {"evaluation": evaluation_schema, "alignment": lambda: ALIGNMENT_SCHEMA}

_NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP)

MANIFEST = "manifest.json"
SUMMARY = "summary.json"
_SCHEMA_VERSION = 1
READINGS = "readings"
"""The folder that says how networks read texts: a file for each unit of a trained model."""


@dataclass(frozen=True)
class RunFolder:
    """A folder of this run, open for writing.

    Attributes:
        path: where.
        kind: `evaluation` or `alignment`, which have different columns.
    """

    path: Path
    kind: str = "evaluation"

    @property
    def schema(self) -> Schema:
        """The columns of its measurements."""
        return _SCHEMAS[self.kind]()

    @property
    def measurements(self) -> Path:
        """Where finished units are."""
        return self.path / "measurements"

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
        write_frame(self._parts(unit) / f"{batch:06d}.parquet", pl.DataFrame(rows, schema=self.schema))

    def finished_unit(self, unit: str) -> pl.DataFrame:
        """The measurements of a finished unit."""
        return _read(self.measurements / f"{unit}.parquet")

    def adopt_unit(self, unit: str, measurements: pl.DataFrame) -> None:
        """Keeps a whole unit that was measured elsewhere."""
        frame = pl.concat([pl.DataFrame(schema=self.schema), measurements], how="diagonal").select(list(self.schema))
        write_frame(self.measurements / f"{unit}.parquet", frame)

    def finish_unit(self, unit: str, order: tuple[str, ...], column: str = "layer") -> None:
        """Joins a unit's batches into one file, in the order of texts and, for each, of a column's values."""
        parts = sorted(self._parts(unit).glob("*.parquet"))
        depth = pl.col(column).replace_strict(list(order), range(len(order)), return_dtype=pl.Int64)
        frame = _joined(parts, self.schema)
        write_frame(self.measurements / f"{unit}.parquet", frame.sort("text_index", depth))
        shutil.rmtree(self._parts(unit), ignore_errors=True)

    def write_json(self, name: str, content: Any) -> None:
        """Writes `manifest.json` or `summary.json`; a NaN in it is a programming error and raises."""
        text = valid_text(json.dumps(content, indent=2, allow_nan=False, ensure_ascii=False)) + "\n"
        write_whole(self.path / name, lambda place: place.write_text(text, encoding="utf-8"))

    def _parts(self, unit: str) -> Path:
        return self.measurements / "parts" / unit


@contextmanager
def open_run_folder(
    path: Path, identity: dict[str, Any], say: Callable[[str], None] = lambda _: None
) -> Iterator[tuple[RunFolder, dict[str, Any]]]:
    """Creates a run's folder or reopens it, for one process at a time; yields it with its manifest.

    Args:
        path: the folder.
        identity: what makes two runs the same; kept in the manifest, compared on reopening.
        say: told where the file system has no locks.

    Raises:
        RunFolderError: a run with other settings is there, or other files, or another process; or
            the folder cannot be written.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:  # ValueError: a name with a null character
        raise RunFolderError(f"cannot write to {path}: {getattr(error, 'strerror', None) or error}") from error
    lock = _lock(path, say)
    try:
        folder = RunFolder(path, kind_of_run(identity))
        manifest = _reopen(path, identity) if (path / MANIFEST).exists() else _create(folder, identity)
        for unfinished in path.rglob("*.unfinished"):
            unfinished.unlink()
        yield folder, manifest
    finally:
        if lock is not None:
            lock.release()


def _lock(path: Path, say: Callable[[str], None]) -> BaseFileLock | None:
    """Takes a folder's lock; None, and a warning, on a file system without locks."""
    lock = FileLock(path / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise RunFolderError(f"another process is working in {path}: wait for it, or choose another --output") from None
    except (OSError, NotImplementedError) as error:
        if isinstance(error, OSError) and error.errno not in _NO_LOCKS:
            raise RunFolderError(f"cannot write to {path}: {error.strerror or error}") from error
        say(f"warning: the file system of {path} has no locks: see to it that no other process works there")
        return None
    return lock


def read_measurements(path: Path) -> pl.DataFrame:
    """All measurements of a run, finished units and finished batches alike.

    Raises:
        RunFolderError: not a run's folder.
    """
    kind = kind_of_run(read_manifest(path)["identity"])
    if kind not in _SCHEMAS:
        raise RunFolderError(f"{path} holds a run of the kind {kind!r}: made by another version?")
    finished = sorted((path / "measurements").glob("*.parquet"))
    units = {file.stem for file in finished}
    parts = sorted(
        part for part in (path / "measurements" / "parts").glob("*/*.parquet") if part.parent.name not in units
    )
    return _joined([*finished, *parts], _SCHEMAS[kind]())


def kind_of_run(identity: dict[str, Any]) -> str:
    """`evaluation` or `alignment`."""
    return str(identity.get("kind", "evaluation"))


def read_manifest(path: Path) -> dict[str, Any]:
    """The manifest of a run.

    Raises:
        RunFolderError: there is none, or it is not one that this version reads.
    """
    file = path / MANIFEST
    try:
        manifest = json.loads(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise RunFolderError(f"{path} is not a run's folder: it holds no {MANIFEST}") from None
    except OSError as error:
        raise RunFolderError(f"{str(file)[:200]} cannot be read: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise RunFolderError(f"{file} is not JSON: {error}") from error
    if (
        not isinstance(manifest, dict)
        or manifest.get("schema") != _SCHEMA_VERSION
        or not (isinstance(manifest.get("identity"), dict) and isinstance(manifest.get("sessions"), list))
    ):
        raise RunFolderError(f"{file} is not a manifest of schema {_SCHEMA_VERSION}: made by another version?")
    return manifest


def _joined(files: list[Path], schema: Schema) -> pl.DataFrame:
    """All rows; files from before a column was kept have None there, and columns of later versions are left out."""
    try:
        return pl.concat([pl.DataFrame(schema=schema), *map(_read, files)], how="diagonal").select(list(schema))
    except pl.exceptions.PolarsError as error:
        raise RunFolderError(
            f"the measurements in {files[0].parent} cannot be read together: {str(error).splitlines()[0]}"
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
            f"{file} cannot be read: {str(error).splitlines()[0]}. Restore it, or remove it and repeat the command"
        ) from error


def _create(folder: RunFolder, identity: dict[str, Any]) -> dict[str, Any]:
    others = [entry.name for entry in folder.path.iterdir() if entry.name != ".lock"]
    others = [name for name in others if not name.endswith(".unfinished")]
    if others:
        raise RunFolderError(
            f"{folder.path} holds other files ({others[0]}) and no {MANIFEST}: choose an empty or a new folder"
        )
    manifest = {"schema": _SCHEMA_VERSION, "identity": identity, "sessions": []}
    folder.write_json(MANIFEST, manifest)
    return manifest


def _reopen(path: Path, identity: dict[str, Any]) -> dict[str, Any]:
    manifest = read_manifest(path)
    if difference := difference_in_words(path, manifest, identity):
        raise RunFolderError(difference)
    return manifest
