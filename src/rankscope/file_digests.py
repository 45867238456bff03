"""sha256 of whole files, cached so that an unchanged file is not read again.

A cached digest is valid only while path, size, modification time, change time, inode and device match those of the
file that was read. Programs can set a modification time back, but only the kernel sets the change time. A file that
changed just before it was read could change again within the same tick of its file system's clock, so a digest is
cached only if the file had been unchanged for longer than a tick.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rankscope.atomic import write_text
from rankscope.errors import RankscopeError, StorageError

if TYPE_CHECKING:
    from collections.abc import Sequence

FOLDER_VARIABLE = "RANKSCOPE_CACHE"
_LARGE = 16 << 20
"""Smaller files are hashed each time: the cache would save nothing."""
_MOST_ENTRIES = 4096
_MOST_THREADS = 8
_COARSE_TICK = 2 * 10**9
_FINE_TICK = 10**8


@dataclass(frozen=True)
class DigestCache:
    """A folder of digests, one small file per hashed file.

    Processes can share it: entries are moved into place whole. If an entry is damaged, or the folder cannot be read or
    written, the file is read again.

    Attributes:
        folder: the folder of the digests; None for no cache.
        smallest: minimum size in bytes of files whose digests are cached.
    """

    folder: Path | None
    smallest: int = _LARGE

    def digest(self, file: Path) -> str:
        """sha256 of a file's content, as `sha256sum` prints it.

        Raises:
            OSError: the file cannot be read.
            RankscopeError: the file changed while it was read.
        """
        entry = self._entry_of(file)
        with file.open("rb") as content:
            state = _state_of(content.fileno())
            if state["size"] < self.smallest or entry is None:
                return _read(file, content, state)
            if found := _remembered(entry, state):
                return found
            _rest(state)
            began = time.time_ns()
            digest = _read(file, content, state)
        if began - _last_change(state) > _tick(state):
            self._keep(entry, state | {"path": str(file), "sha256": digest})
        return digest

    def digests(self, files: Sequence[Path]) -> list[str]:
        """`digest` of several files, read in parallel."""
        if len(files) < 2:
            return [self.digest(file) for file in files]
        with ThreadPoolExecutor(min(_MOST_THREADS, os.cpu_count() or 1, len(files))) as pool:
            return list(pool.map(self.digest, files))

    def _entry_of(self, file: Path) -> Path | None:
        if self.folder is None:
            return None
        name = hashlib.sha256(os.fsencode(os.path.realpath(file))).hexdigest()
        return self.folder / f"{name}.json"

    def _keep(self, entry: Path, content: dict[str, Any]) -> None:
        # If the cache cannot be written, the file is read again next time, which changes no result.
        with contextlib.suppress(OSError, StorageError):
            write_text(entry, json.dumps(content))
            self._make_room(entry.parent)

    @staticmethod
    def _make_room(folder: Path) -> None:
        entries = list(folder.iterdir())
        if len(entries) > _MOST_ENTRIES:
            for oldest in sorted(entries, key=lambda entry: entry.stat().st_mtime)[: _MOST_ENTRIES // 4]:
                oldest.unlink(missing_ok=True)


def default_digest_cache() -> DigestCache:
    """The user's cache: `files` in `RANKSCOPE_CACHE` if it is a folder, or else `rankscope/files` in the user cache."""
    given = os.environ.get(FOLDER_VARIABLE, "")
    if given and "://" not in given:  # inodes and times are meaningful only on this machine
        return DigestCache(Path(given) / "files")
    if base := os.environ.get("XDG_CACHE_HOME"):
        return DigestCache(Path(base) / "rankscope" / "files")
    try:
        return DigestCache(Path.home() / ".cache" / "rankscope" / "files")
    except RuntimeError:  # no home directory
        return DigestCache(None)


def digest_of(content: object) -> str:
    """sha256 of an object's JSON with sorted keys, 64 hex digits."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _state_of(descriptor: int) -> dict[str, int]:
    status = os.fstat(descriptor)
    return {
        "size": status.st_size,
        "mtime_ns": status.st_mtime_ns,
        "ctime_ns": status.st_ctime_ns,
        "inode": status.st_ino,
        "device": status.st_dev,
    }


def _read(file: Path, content: Any, state: dict[str, int]) -> str:
    digest = hashlib.file_digest(content, "sha256").hexdigest()
    if _state_of(content.fileno()) != state:
        raise RankscopeError(f"{file} changed while it was being read: run the command again when it is complete")
    return digest


def _remembered(entry: Path, state: dict[str, int]) -> str | None:
    try:
        known = json.loads(entry.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None  # missing or damaged: the file is read
    if not isinstance(known, dict) or any(known.get(name) != value for name, value in state.items()):
        return None
    digest = known.get("sha256")
    return digest if isinstance(digest, str) and len(digest) == 64 else None


def _last_change(state: dict[str, int]) -> int:
    return max(state["mtime_ns"], state["ctime_ns"])


def _tick(state: dict[str, int]) -> int:
    """Nanoseconds between changes that surely get different times; some file systems store whole seconds."""
    return _COARSE_TICK if _last_change(state) % 10**9 == 0 else _FINE_TICK


def _rest(state: dict[str, int]) -> None:
    """Waits until the fine tick has passed, at most 0.1 s, so that a file that was just written is cached, too."""
    left = _last_change(state) + _FINE_TICK - time.time_ns()
    if 0 <= left <= _FINE_TICK:
        time.sleep((left + 10**6) / 1e9)
