"""Files that are there as a whole or not at all, whatever kills the process that writes them.

A file is written beside its place under a name of its own, so that threads and processes can write the same one, and
moved there when it is on the disk. Until then the old one stands.
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
from rankscope.names import valid_text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    import polars as pl

_FULL = (errno.ENOSPC, errno.EDQUOT)
_LONGEST_NAME = 255 - len(".0123456789ab.unfinished")  # bytes: file systems allow 255 with the ending


def write_bytes(place: Path, content: bytes) -> None:
    """Writes a file, and the folders above it.

    Raises:
        StorageError: the disk is full, or the folder cannot be written.
    """
    with _telling(place), _beside(place) as file:
        file.write(content)


def write_text(place: Path, text: str) -> None:
    """Writes a text as UTF-8; see `write_bytes`.

    Raises:
        StorageError: the disk is full, or the folder cannot be written.
    """
    write_bytes(place, valid_text(text).encode())


def write_frame(place: Path, frame: pl.DataFrame) -> None:
    """Writes a frame as a Parquet file; see `write_bytes`.

    Raises:
        StorageError: the disk is full, or the folder cannot be written.
    """
    from polars.exceptions import PolarsError

    with _telling(place, (OSError, PolarsError)), _beside(place) as file:
        frame.write_parquet(file)


@contextmanager
def _telling(place: Path, failures: tuple[type[Exception], ...] = (OSError,)) -> Iterator[None]:
    try:
        yield
    except failures as error:
        reason = getattr(error, "strerror", None) or error
        may_be_full = not isinstance(error, OSError) or error.errno in _FULL  # polars does not say
        hint = ". What was finished is kept: make room, then give the same command again" if may_be_full else ""
        raise StorageError(f"could not write {place}: {reason}{hint}") from error


@contextmanager
def _beside(place: Path) -> Iterator[BinaryIO]:
    """A file to write into, which takes its place at the end, or is gone after a failure."""
    place.parent.mkdir(parents=True, exist_ok=True)
    place = Path(os.path.realpath(place))  # a link stays one
    if place.exists() and not place.is_file():  # a device or a pipe, which nothing may replace; a folder fails here
        with place.open("wb") as file:
            yield file
        return
    name = os.fsdecode(os.fsencode(place.name)[:_LONGEST_NAME])
    beside = place.with_name(f"{name}.{secrets.token_hex(6)}.unfinished")
    try:
        with beside.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        with suppress(OSError):  # the first file there, or a file system without permissions
            shutil.copymode(place, beside)
        beside.replace(place)
    except BaseException:
        with suppress(OSError):
            beside.unlink(missing_ok=True)
        raise
