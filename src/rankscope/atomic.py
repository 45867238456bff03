"""Files that are either complete or absent, even if the writing process is killed.

A file is written next to its destination under a unique name, so that several threads and processes can write the same
file, and moved into place once it is on disk. Until then, the old file remains.
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from rankscope.errors import StorageError
from rankscope.names import utf8

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import BinaryIO

UNFINISHED = ".unfinished"
"""Suffix of files that are being written, or were when their process was killed."""
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_NO_LINKS = (errno.EPERM, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EMLINK)
_LONGEST_NAME = 255 - len(f".0123456789ab{UNFINISHED}")  # bytes; file systems allow 255 including the suffix
_TRIES = 5


def write_bytes(place: Path, content: bytes) -> None:
    """Writes a file, creating its parent folders.

    Raises:
        StorageError: the disk is full, or the folder cannot be written.
    """
    write_file(place, lambda file: file.write(content))


def write_text(place: Path, text: str) -> None:
    """Writes text as UTF-8; see `write_bytes`.

    Raises:
        StorageError: the disk is full, or the folder cannot be written.
    """
    write_bytes(place, utf8(text))


def write_file(place: Path, fill: Callable[[BinaryIO], object]) -> None:
    """Writes a file with a function, which may be called more than once; see `write_bytes`.

    Raises:
        StorageError: the disk is full, or the folder cannot be written.
    """
    with _as_storage_errors(place):
        for left in reversed(range(_TRIES)):
            try:
                _replace(place, fill)
            except FileNotFoundError:  # another process removed unfinished files meanwhile
                if not left:
                    raise
            else:
                return


def create_bytes(place: Path, content: bytes) -> bool:
    """Writes a file, creating its parent folders, unless it exists; returns whether it was written.

    If several processes try at the same time, one of them writes the file.

    Raises:
        StorageError: the disk is full, or the folder cannot be written.
    """
    with _as_storage_errors(place):
        place.parent.mkdir(parents=True, exist_ok=True)
        temporary = _temporary_name(place)
        try:
            _fill(temporary, lambda file: file.write(content))
            return _linked(temporary, place)
        finally:
            temporary.unlink(missing_ok=True)


def _linked(temporary: Path, place: Path) -> bool:
    """Hard-links a file to its destination; returns whether the destination was free."""
    try:
        place.hardlink_to(temporary)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        if place.exists():  # without links, two processes may both pass this check, and the last one's file remains
            return False
        temporary.replace(place)
    return True


@contextmanager
def _as_storage_errors(place: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        hint = ". Finished work is saved: free some space, then run the same command again"
        raise StorageError(
            f"could not write {place}: {error.strerror or error}{hint if error.errno in _FULL else ''}"
        ) from error


def _replace(place: Path, fill: Callable[[BinaryIO], object]) -> None:
    """Writes a file next to its destination and moves it there; removes it after a failure."""
    place.parent.mkdir(parents=True, exist_ok=True)
    place = Path(os.path.realpath(place))  # keeps a symbolic link
    if place.exists() and not place.is_file():  # devices and pipes must not be replaced; a folder fails here
        with place.open("wb") as file:
            fill(file)
        return
    temporary = _temporary_name(place)
    try:
        _fill(temporary, fill)
        with suppress(OSError):  # no earlier file, or a file system without permissions
            shutil.copymode(place, temporary)
        temporary.replace(place)
    except BaseException:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


def _fill(file: Path, fill: Callable[[BinaryIO], object]) -> None:
    """Writes a new file and flushes it to disk."""
    with file.open("xb") as content:
        fill(content)
        content.flush()
        os.fsync(content.fileno())


def _temporary_name(place: Path) -> Path:
    name = os.fsdecode(os.fsencode(place.name)[:_LONGEST_NAME])
    return place.with_name(f"{name}.{secrets.token_hex(6)}{UNFINISHED}")
