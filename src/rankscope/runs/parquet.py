"""Converts tables of measurements to and from the content of Parquet files."""

from __future__ import annotations

import io

import polars as pl

from rankscope.errors import RunFolderError, first_line


def to_parquet(frame: pl.DataFrame) -> bytes:
    """A table as the content of a Parquet file."""
    content = io.BytesIO()
    frame.write_parquet(content)
    return content.getvalue()


def from_parquet(content: bytes, file: str) -> pl.DataFrame:
    """The table in the content of a Parquet file.

    Args:
        content: The file's content.
        file: The file's name, for the message.

    Raises:
        RunFolderError: the content is damaged.
    """
    try:
        return pl.read_parquet(io.BytesIO(content))
    except pl.exceptions.PolarsError as error:
        raise RunFolderError(
            f"{file} cannot be read: {first_line(error)}. Restore it, or remove it and run the command again"
        ) from error
