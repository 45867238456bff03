"""Long sequences that are written once and read item by item, in memory while small and otherwise on disk."""

from __future__ import annotations

import pickle
import tempfile
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from threading import Lock
from typing import Any, Generic, TypeVar, overload
from weakref import finalize

from rankscope.errors import StorageError

IN_MEMORY = 64 << 20
"""Bytes that a spool keeps in memory before it moves to a temporary file."""
_READ_AT_ONCE = 1 << 20

Item = TypeVar("Item")


class Spool(Sequence[Item], Generic[Item]):
    """Items that are pickled when added and unpickled on each read.

    Beyond `IN_MEMORY` bytes, they are stored in an unnamed temporary file, which the system deletes when the spool or
    the process ends. Pickling a spool includes its content. Several threads may read at the same time.

    Args:
        items: the first items.

    Raises:
        StorageError: there is not enough space for the items.
    """

    def __init__(self, items: Iterable[Item] = ()) -> None:
        self._file = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115 (closed by `finalize`)
        self._ends = array("q", [0])
        self._lock = Lock()
        self._at_end = True
        finalize(self, self._file.close)
        for item in items:
            self.add(item)

    def add(self, item: Item) -> None:
        """Appends an item.

        Raises:
            StorageError: there is not enough space for the item.
        """
        self._write(pickle.dumps(item, protocol=5))

    def _write(self, piece: bytes | memoryview) -> None:
        with self._lock:
            try:
                if not self._at_end:
                    self._file.seek(self._ends[-1])
                    self._at_end = True
                self._file.write(piece)
            except OSError as error:
                raise _no_room(error) from error
            self._ends.append(self._ends[-1] + len(piece))

    def _read(self, start: int, end: int) -> memoryview:
        """The bytes of the items from `start` up to, but not including, `end`."""
        with self._lock:
            self._at_end = False
            try:
                self._file.seek(self._ends[start])  # also flushes buffered writes
                return memoryview(self._file.read(self._ends[end] - self._ends[start]))
            except OSError as error:
                raise _no_room(error) from error

    def __len__(self) -> int:
        return len(self._ends) - 1

    @overload
    def __getitem__(self, place: int) -> Item: ...
    @overload
    def __getitem__(self, place: slice) -> list[Item]: ...
    def __getitem__(self, place: int | slice) -> Item | list[Item]:
        places = range(len(self))[place]
        if isinstance(places, range):
            return [self[one] for one in places]
        return self._item(self._read(places, places + 1))

    def __iter__(self) -> Iterator[Item]:
        start = 0
        while start < len(self):
            begin = self._ends[start]
            end = max(bisect_right(self._ends, begin + _READ_AT_ONCE) - 1, start + 1)
            content = self._read(start, end)
            for place in range(start, end):
                yield self._item(content[self._ends[place] - begin : self._ends[place + 1] - begin])
            start = end

    @staticmethod
    def _item(content: memoryview) -> Item:
        item: Item = pickle.loads(content)  # noqa: S301 (bytes that this class wrote)
        return item

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (bytes(self._read(0, len(self))), self._ends.tobytes())


def _no_room(error: OSError) -> StorageError:
    return StorageError(
        f"could not store texts in the temporary folder {tempfile.gettempdir()}: {error.strerror or error}. "
        "Free some space there, or set TMPDIR to a folder on a larger disk"
    )


def _restored(content: bytes, ends: bytes) -> Spool[Any]:
    spool: Spool[Any] = Spool()
    whole = memoryview(content)
    for start, end in pairwise(array("q", ends)):
        spool._write(whole[start:end])
    return spool


def equal_items(one: Sequence[object], other: object) -> bool:
    """Whether two sequences hold equal items, regardless of the sequences' types."""
    return (
        isinstance(other, Sequence)
        and len(one) == len(other)
        and all(mine == theirs for mine, theirs in zip(one, other, strict=True))
    )
