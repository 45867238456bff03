"""Texts stored in a spool, so that a data set with millions of texts is never entirely in memory."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from typing import overload

import numpy as np

from rankscope.spool import Spool, equal_items
from rankscope.texts.conversations import plain_text
from rankscope.texts.rows import repeated
from rankscope.texts.text import EMPTY, Content, Message, SkippedText, Text, TextsDigest, content_bytes

_Row = tuple[str | None, int, str, tuple[Message, ...]]
"""A text's own id, its row's number, the text and its messages."""


@dataclass(frozen=True, eq=False)
class StoredTexts(Sequence[Text]):
    """Texts that are read on demand.

    Attributes:
        rows: the content of the texts.
        own_ids: whether ids are the data set's own; otherwise they are row numbers.
        known_digest: the digest, if it was computed while storing.
    """

    rows: Spool[_Row]
    own_ids: bool = True
    known_digest: TextsDigest | None = None

    @classmethod
    def of(cls, texts: Iterable[Text]) -> StoredTexts:
        """Stores texts in order.

        Raises:
            StorageError: there is not enough space for the texts.
        """
        rows: Spool[_Row] = Spool()
        digest = TextsDigest()
        for text in texts:
            rows.add((text.id, 0, text.text, text.messages))
            digest.add(text.id, content_bytes(text.text, text.messages))
        return cls(rows, known_digest=digest)

    @cached_property
    def digest(self) -> TextsDigest:
        """The digest over ids and texts."""
        return self.known_digest or digest_of(self)

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, place: int) -> Text: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[Text, ...]: ...
    def __getitem__(self, place: int | slice) -> Text | tuple[Text, ...]:
        if isinstance(place, slice):
            return tuple(map(self._text, self.rows[place]))
        return self._text(self.rows[place])

    def __iter__(self) -> Iterator[Text]:
        return map(self._text, self.rows)

    def _text(self, row: _Row) -> Text:
        own, number, text, messages = row
        return Text(own if self.own_ids and own is not None else str(number), text, messages)

    def __eq__(self, other: object) -> bool:
        return equal_items(self, other)

    __hash__ = None  # type: ignore[assignment]

    def __reduce__(self) -> tuple[type[StoredTexts], tuple[Spool[_Row], bool]]:
        return StoredTexts, (self.rows, self.own_ids)  # a running digest cannot be pickled


def digest_of(texts: Iterable[Text]) -> TextsDigest:
    """The digest over the ids and texts of a sequence of texts."""
    digest = TextsDigest()
    for text in texts:
        digest.add(text.id, content_bytes(text.text, text.messages))
    return digest


@dataclass
class Collector:
    """Stores the contents of rows, then decides whether their own ids can be used.

    Attributes:
        usable: number of usable texts so far.
    """

    usable: int = 0
    _rows: Spool[_Row] = field(default_factory=Spool)
    _digests: dict[bool, TextsDigest] = field(default_factory=lambda: {True: TextsDigest(), False: TextsDigest()})
    _empty: list[tuple[str | None, int]] = field(default_factory=list)
    _bad: list[SkippedText] = field(default_factory=list)
    _hashes: array[int] = field(default_factory=lambda: array("q"))
    _all_have_ids: bool = True

    def add(self, own: str | None, number: int, content: Content) -> None:
        """Adds the content of a row: its own id, its number, and a text or messages.

        Raises:
            StorageError: there is not enough space for the content.
        """
        self._all_have_ids = self._all_have_ids and own is not None
        if self._all_have_ids:
            self._hashes.append(hash(own))
        text, messages = (content, ()) if isinstance(content, str) else (plain_text(content), content)
        if not text.strip():
            self._empty.append((own, number))
            return
        self.usable += 1
        self._rows.add((own, number, text, messages))
        digested = content_bytes(text, messages)
        self._digests[False].add(str(number), digested)
        if self._all_have_ids and own is not None:
            self._digests[True].add(own, digested)

    def skip(self, row: SkippedText) -> None:
        """Records a bad row."""
        self._bad.append(row)

    def finish(self) -> tuple[StoredTexts, tuple[SkippedText, ...]]:
        """The usable texts; bad rows, followed by empty texts."""
        own_ids = self._all_have_ids and self._are_unique()
        empty = [SkippedText(str(own if own_ids else number), EMPTY) for own, number in self._empty]
        return StoredTexts(self._rows, own_ids, self._digests[own_ids]), (*self._bad, *empty)

    def _are_unique(self) -> bool:
        """Whether the rows' own ids are unique; only ids with the same hash are compared."""
        hashes = np.sort(np.array(self._hashes, dtype=np.int64))
        twice = set(hashes[1:][hashes[1:] == hashes[:-1]].tolist())
        ids = chain((row[0] for row in self._rows), (own for own, _ in self._empty))
        return not twice or repeated(str(own) for own in ids if hash(own) in twice) is None
