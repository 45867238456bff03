"""Locks on a run's folder: one for each unit, and one for the files shared by all processes."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import BaseFileLock, FileLock, Timeout

from rankscope.errors import RunFolderError

_NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP)
_A_MOMENT = 30.0  # seconds, ample for another process to write a manifest or a summary
_FOLDER, _UNITS = ".lock", ".locks"


@dataclass(frozen=True)
class NoLocks:
    """No locks, for object stores: concurrent processes may repeat each other's work, with the same numbers."""

    names: tuple[str, ...] = ()

    @contextmanager
    def folder(self) -> Iterator[None]:
        """Yields at once."""
        yield

    @contextmanager
    def unit(self, name: str, *, wait: bool) -> Iterator[bool]:  # noqa: ARG002 (there is nothing to wait for)
        """Yields True at once."""
        yield True


@dataclass
class Locks:
    """File locks in a folder. On a file system that does not support locks, warns once and continues without.

    Attributes:
        path: The folder.
        say: Receives messages about waiting and unsupported locks.
    """

    path: Path
    say: Callable[[str], None]
    _warned: bool = False

    def __reduce__(self) -> tuple[type[NoLocks], tuple[()]]:
        """Pickles as `NoLocks`: locks stay with the process that created them."""
        return NoLocks, ()

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the folder's entries that belong to the locks."""
        return (_FOLDER, _UNITS)

    @contextmanager
    def folder(self) -> Iterator[None]:
        """Holds the lock for the shared files; waits up to 30 seconds for it.

        Raises:
            RunFolderError: another process holds the lock for longer, or the folder cannot be written.
        """
        lock = self._acquired(self.path / _FOLDER, _A_MOMENT)
        if lock is None:
            raise RunFolderError(f"another process is working in {self.path}: wait for it, or choose another --output")
        try:
            yield
        finally:
            lock.release()

    @contextmanager
    def unit(self, name: str, *, wait: bool) -> Iterator[bool]:
        """Holds the lock on a unit, so that no other process measures it; yields whether it was acquired.

        Args:
            name: Name of the unit.
            wait: Whether to wait until another process releases the lock.

        Raises:
            RunFolderError: the folder cannot be written.
        """
        file = self.path / _UNITS / f"{name}.lock"
        lock = self._acquired(file, 0)
        if lock is None and wait:
            self.say(f"{self.path}: waiting for another process that measures {name}")
            lock = self._acquired(file, -1)
        try:
            yield lock is not None
        finally:
            if lock is not None:
                lock.release()

    def _acquired(self, file: Path, seconds: float) -> BaseFileLock | None:
        """Acquires a lock within a number of seconds (-1: no limit); None if another process holds it for longer."""
        lock = FileLock(file, timeout=seconds)
        try:
            file.parent.mkdir(exist_ok=True)
            lock.acquire()
        except Timeout:
            return None
        except (OSError, NotImplementedError) as error:
            if isinstance(error, OSError) and error.errno not in _NO_LOCKS:
                raise RunFolderError(f"cannot write to {self.path}: {error.strerror or error}") from error
            if not self._warned:
                self.say(
                    f"warning: the file system of {self.path} does not support locks: make sure that no other process "
                    "uses this folder"
                )
            self._warned = True
        return lock
