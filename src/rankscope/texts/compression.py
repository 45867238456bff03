"""Reads files as bytes, decompressing if necessary."""

from __future__ import annotations

import gzip
import io
import lzma
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

from rankscope.errors import DataError

COMPRESSIONS = {".gz": "gzip", ".bz2": "bzip2", ".xz": "xz", ".zst": "Zstandard"}
"""Compression by last file suffix."""

_UNREADABLE = (OSError, EOFError, zlib.error, lzma.LZMAError)


def without_compression(path: Path) -> Path:
    """The file name without its compression suffix."""
    return path.with_suffix("") if path.suffix.lower() in COMPRESSIONS else path


@contextmanager
def open_bytes(path: Path) -> Iterator[IO[bytes]]:
    """A file's content, decompressed as it is read.

    Raises:
        DataError: the file cannot be read, or is damaged or truncated.
    """
    compression = COMPRESSIONS.get(path.suffix.lower())
    try:
        with _opened(path, compression) as file:
            yield file
    except _UNREADABLE as error:
        if compression is None or isinstance(error, PermissionError):
            raise DataError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from error
        raise DataError(f"{path} is not a complete {compression} file: {error}") from error


def _opened(path: Path, compression: str | None) -> IO[bytes]:
    if compression == "gzip":
        return cast("IO[bytes]", gzip.open(path, "rb"))
    if compression == "bzip2":
        import bz2

        return bz2.open(path, "rb")
    if compression == "xz":
        return lzma.open(path, "rb")
    if compression == "Zstandard":
        import pyarrow as pa

        return io.BufferedReader(pa.input_stream(str(path), compression="zstd"))
    return path.open("rb")
