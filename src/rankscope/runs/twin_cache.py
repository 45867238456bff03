"""Measurements of twins, cached across runs: a sweep over checkpoints measures its twin only once.

The cache has one file for each twin and set of texts, named by a hash of everything that determines the numbers. Files
are written atomically, so several processes can share the folder. If it exceeds its limit, the least recently used
files are removed first.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from rankscope.atomic import UNFINISHED, write_bytes
from rankscope.errors import SettingsError, StorageError
from rankscope.measuring import text_columns
from rankscope.runs.addresses import is_address
from rankscope.runs.parquet import to_parquet
from rankscope.runs.shared_twins import SharedTwinCache
from rankscope.runs.storage import storage_of

FOLDER_VARIABLE = "RANKSCOPE_CACHE"
LIMIT_VARIABLE = "RANKSCOPE_CACHE_MIB"
_DEFAULT_MIB = 1024
_HINT = f"set {FOLDER_VARIABLE} to a writable folder, or use --no-twin-cache"


@dataclass(frozen=True)
class TwinCache:
    """A local folder with measurements of twins.

    Attributes:
        folder: The folder; created on the first write.
        limit: The limit in bytes.
    """

    folder: Path
    limit: int = _DEFAULT_MIB << 20

    def get(self, key: str) -> pl.DataFrame | None:
        """The measurements stored under a key, or None; updates the time of their last use."""
        file = self._file(key)
        try:
            with file.open("rb") as content:
                measurements = pl.read_parquet(content)
        except (OSError, pl.exceptions.PolarsError):
            return None  # missing, removed by another process, or damaged: the twin is measured again
        with suppress(OSError):  # times are not updated in a read-only cache
            os.utime(file)
        return measurements if measurements.columns == list(text_columns()) else None

    def put(self, key: str, measurements: pl.DataFrame) -> None:
        """Stores measurements, then removes the least recently used ones if the cache exceeds its limit.

        Raises:
            StorageError: the cache cannot be written.
        """
        try:
            write_bytes(self._file(key), to_parquet(measurements))
            self._make_room()
        except OSError as error:
            raise StorageError(f"cannot make room in {self.folder}: {error.strerror or error} ({_HINT})") from error
        except StorageError as error:
            reason = getattr(error.__cause__, "strerror", None) or error.__cause__
            raise StorageError(f"could not write {self._file(key)}: {reason} ({_HINT})") from error

    def entries(self) -> list[tuple[Path, int, float]]:
        """Files with their size in bytes and time of last use, most recently used first."""
        found = []
        for file in self.folder.glob("*.parquet"):
            try:
                status = file.stat()
            except OSError:
                continue  # removed by another process
            found.append((file, status.st_size, status.st_mtime))
        return sorted(found, key=lambda entry: -entry[2])

    def clear(self) -> int:
        """Removes all files; returns their number.

        Raises:
            StorageError: a file cannot be removed.
        """
        files = [*self.folder.glob("*.parquet"), *self.folder.glob(f"*{UNFINISHED}")]
        for file in files:
            try:
                file.unlink(missing_ok=True)
            except OSError as error:
                raise StorageError(f"cannot remove {file}: {error.strerror or error}") from error
        return len(files)

    def _make_room(self) -> None:
        used = 0
        for file, size, _ in self.entries():
            used += size
            if used > self.limit:
                file.unlink(missing_ok=True)

    def _file(self, key: str) -> Path:
        return self.folder / f"{key}.parquet"


@dataclass
class ForgivingTwinCache:
    """A cache that issues a warning on its first error and is not used afterwards; results do not depend on it.

    Attributes:
        cache: The cache, or None if there is none.
        say: Receives the reason why twins are not stored.
    """

    cache: TwinCache | SharedTwinCache | None
    say: Callable[[str], None]

    @classmethod
    def of_the_user(cls, say: Callable[[str], None]) -> ForgivingTwinCache:
        """Wraps the default cache.

        Raises:
            SettingsError: `RANKSCOPE_CACHE_MIB` is not a whole number, or `RANKSCOPE_CACHE` is not a valid address.
        """
        try:
            return cls(default_twin_cache(), say)
        except StorageError as error:
            say(_warning(error))
            return cls(None, say)

    def get(self, key: str) -> pl.DataFrame | None:
        """The measurements stored under a key, or None."""
        try:
            return None if self.cache is None else self.cache.get(key)
        except StorageError as error:
            self.say(_warning(error))
            self.cache = None
            return None

    def put(self, key: str, measurements: pl.DataFrame) -> None:
        """Stores measurements if possible."""
        if self.cache is None:
            return
        try:
            self.cache.put(key, measurements)
        except StorageError as error:
            self.say(_warning(error))
            self.cache = None


def _warning(error: StorageError) -> str:
    return f"warning: twins are not cached for other runs; results are not affected: {error}"


def default_twin_cache() -> TwinCache | SharedTwinCache:
    """The user's cache: `RANKSCOPE_CACHE` if set, else `rankscope/twins` in the user's cache folder.

    Raises:
        SettingsError: `RANKSCOPE_CACHE_MIB` is not a whole number, or `RANKSCOPE_CACHE` is not a valid address.
        StorageError: neither `RANKSCOPE_CACHE` nor `XDG_CACHE_HOME` is set, and there is no home folder.
    """
    given = os.environ.get(FOLDER_VARIABLE, "")
    if is_address(given):
        return SharedTwinCache(storage_of(given))
    folder = Path(given or _users_cache() / "rankscope" / "twins")
    limit = os.environ.get(LIMIT_VARIABLE, str(_DEFAULT_MIB))
    if not limit.isdecimal():
        raise SettingsError(f"{LIMIT_VARIABLE} must be the cache's size in MiB, a whole number, got {limit!r}")
    return TwinCache(folder, int(limit) << 20)


def _users_cache() -> Path:
    if base := os.environ.get("XDG_CACHE_HOME"):
        return Path(base)
    try:
        return Path.home() / ".cache"
    except RuntimeError as error:
        raise StorageError(f"there is no home folder ({error}): {_HINT}") from error


def key_of(what: object) -> str:
    """A key for everything that determines a result: the SHA-256 of its JSON, in 64 hex digits."""
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()
