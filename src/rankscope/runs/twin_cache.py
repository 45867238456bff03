"""Measurements of twins, kept for other runs: a sweep over checkpoints pays for its twin once.

A file for each twin on each set of texts, named by a hash of all that its numbers depend on. Files are
moved into place whole, so several processes can share the folder; the least recently used go first
when it grows over its limit.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from rankscope.errors import SettingsError, StorageError
from rankscope.runs.store import SCHEMA, write_whole

FOLDER_VARIABLE = "RANKSCOPE_CACHE"
LIMIT_VARIABLE = "RANKSCOPE_CACHE_MIB"
_DEFAULT_MIB = 1024


@dataclass(frozen=True)
class TwinCache:
    """A folder of twins' measurements.

    Attributes:
        folder: where; made when something is kept.
        limit: in bytes.
    """

    folder: Path
    limit: int = _DEFAULT_MIB << 20

    def get(self, key: str) -> pl.DataFrame | None:
        """The measurements under a key, or None; marks them as just used."""
        file = self._file(key)
        try:
            measurements = pl.read_parquet(file)
            os.utime(file)
        except (OSError, pl.exceptions.PolarsError):
            return None  # not there, taken away by another process meanwhile, or damaged: it is measured
        return measurements if measurements.columns == list(SCHEMA) else None

    def put(self, key: str, measurements: pl.DataFrame) -> None:
        """Keeps measurements, then makes room.

        Raises:
            StorageError: the cache cannot be written.
        """
        try:
            write_whole(self._file(key), measurements.write_parquet)
        except StorageError as error:
            hint = f"{FOLDER_VARIABLE} says where twins are kept, --no-twin-cache does without"
            raise StorageError(f"{error} ({hint})") from error
        self._make_room()

    def entries(self) -> list[tuple[Path, int, float]]:
        """Files with their sizes in bytes and the times of their last use, the latest first."""
        found = []
        for file in self.folder.glob("*.parquet"):
            try:
                status = file.stat()
            except FileNotFoundError:
                continue  # taken away by another process meanwhile
            found.append((file, status.st_size, status.st_mtime))
        return sorted(found, key=lambda entry: -entry[2])

    def clear(self) -> int:
        """Removes everything; returns how many files."""
        files = [*self.folder.glob("*.parquet"), *self.folder.glob("*.unfinished")]
        for file in files:
            file.unlink(missing_ok=True)
        return len(files)

    def _make_room(self) -> None:
        used = 0
        for file, size, _ in self.entries():
            used += size
            if used > self.limit:
                file.unlink(missing_ok=True)

    def _file(self, key: str) -> Path:
        return self.folder / f"{key}.parquet"


def default_twin_cache() -> TwinCache:
    """The user's cache: `RANKSCOPE_CACHE`, else `rankscope/twins` in the user's cache folder.

    Raises:
        SettingsError: `RANKSCOPE_CACHE_MIB` is no whole number.
    """
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = Path(os.environ.get(FOLDER_VARIABLE) or base / "rankscope" / "twins")
    limit = os.environ.get(LIMIT_VARIABLE, str(_DEFAULT_MIB))
    if not limit.isdecimal():
        raise SettingsError(f"{LIMIT_VARIABLE} is the cache's size in MiB, a whole number, got {limit!r}")
    return TwinCache(folder, int(limit) << 20)


def key_of(what: object) -> str:
    """A name for all that something depends on, such as a twin's numbers: 64 hex digits of its JSON."""
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()
