"""Files that are there as a whole or not at all, whatever kills the process that writes them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import polars as pl

from rankscope.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def write_frame(place: Path, frame: pl.DataFrame) -> None:
    """Writes a frame as a Parquet file, whole or not at all.

    Raises:
        StorageError: the disk is full, or the folder cannot be written.
    """

    def write(beside: Path) -> None:
        with beside.open("wb") as content:
            frame.write_parquet(content)

    write_whole(place, write)


def write_whole(place: Path, write: Callable[[Path], Any]) -> None:
    """Writes a file beside its place, makes sure of it, and moves it there."""
    beside = place.with_name(f"{place.name}.{os.getpid()}.unfinished")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        write(beside)
        with beside.open("rb+") as file:
            os.fsync(file.fileno())
        beside.replace(place)
    except (OSError, pl.exceptions.PolarsError) as error:
        reason = getattr(error, "strerror", None) or error
        raise StorageError(
            f"could not write {place}: {reason}. What was finished is kept: make room, then give the same command again"
        ) from error
