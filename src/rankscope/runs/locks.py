"""Locks of a run's folder: one for each unit, and one for the files that all processes share."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import BaseFileLock, FileLock, Timeout

from rankscope.errors import RunFolderError

_NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP)
_A_MOMENT = 30.0  # seconds in which any process has written a manifest or a summary
_FOLDER, _UNITS = ".lock", ".locks"


@dataclass(frozen=True)
class NoLocks:
    """For object stores: processes that meet do the same work twice, and write the same numbers."""

    names: tuple[str, ...] = ()

    @contextmanager
    def folder(self) -> Iterator[None]:
        """Nothing."""
        yield

    @contextmanager
    def unit(self, name: str, *, wait: bool) -> Iterator[bool]:  # noqa: ARG002 (there is nothing to wait for)
        """Yields True."""
        yield True


@dataclass
class Locks:
    """Locks on a folder; a file system without them is warned of once, and does without.

    Attributes:
        path: the folder.
        say: told of waiting and of missing locks.
    """

    path: Path
    say: Callable[[str], None]
    _warned: bool = False

    def __reduce__(self) -> tuple[type[NoLocks], tuple[()]]:
        """Locks stay with the process that made them: where they are sent, there are none."""
        return NoLocks, ()

    @property
    def names(self) -> tuple[str, ...]:
        """The entries of the folder that belong to its locks."""
        return (_FOLDER, _UNITS)

    @contextmanager
    def folder(self) -> Iterator[None]:
        """For a moment no other process writes what all share.

        Raises:
            RunFolderError: another process keeps the lock, or the folder cannot be written.
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
        """Within it no other process measures a unit; yields whether the lock could be had.

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
        """The lock, held; None where another process has it for longer than that."""
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
                    f"warning: the file system of {self.path} has no locks: make sure that no other process works there"
                )
            self._warned = True
        return lock
