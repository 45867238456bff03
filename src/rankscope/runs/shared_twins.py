"""A twin cache in an object store, for workers on many machines: `RANKSCOPE_CACHE=s3://BUCKET/twins`.

The cache has no size limit; use the store's own expiration rules to keep it small.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import polars as pl

from rankscope.errors import RunFolderError, StorageError
from rankscope.measuring import text_columns
from rankscope.runs.addresses import Place
from rankscope.runs.parquet import from_parquet, to_parquet
from rankscope.runs.storage import Storage


@dataclass(frozen=True)
class SharedTwinCache:
    """Measurements of twins in an object store.

    Attributes:
        storage: The folder in the object store.
    """

    storage: Storage

    @property
    def folder(self) -> Place:
        """The cache's address."""
        return self.storage.place

    def get(self, key: str) -> pl.DataFrame | None:
        """The measurements stored under a key, or None.

        Raises:
            StorageError: the store refuses or does not answer.
        """
        name = f"{key}.parquet"
        with _as_storage_error():
            content = self.storage.read(name)
        if content is None:
            return None
        try:
            measurements = from_parquet(content, self.storage.called(name))
        except RunFolderError:
            return None  # damaged: the twin is measured again
        return measurements if measurements.columns == list(text_columns()) else None

    def put(self, key: str, measurements: pl.DataFrame) -> None:
        """Stores measurements.

        Raises:
            StorageError: the store refuses or does not answer.
        """
        with _as_storage_error():
            self.storage.write(f"{key}.parquet", to_parquet(measurements))

    def keys(self) -> list[str]:
        """All keys in the cache.

        Raises:
            StorageError: the store refuses or does not answer.
        """
        with _as_storage_error():
            names = self.storage.names("")
        return [name.removesuffix(".parquet") for name in names if name.endswith(".parquet")]

    def clear(self) -> int:
        """Removes all measurements; returns their number.

        Raises:
            StorageError: the store refuses or does not answer.
        """
        keys = self.keys()
        with _as_storage_error():
            for key in keys:
                self.storage.remove(f"{key}.parquet")
        return len(keys)


@contextmanager
def _as_storage_error() -> Iterator[None]:
    """Runs continue without a cache that fails with a StorageError."""
    try:
        yield
    except RunFolderError as error:
        raise StorageError(str(error)) from error
