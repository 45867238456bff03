"""A plan: the batches of token ids that one model reads, in memory independent of the texts' lengths."""

from __future__ import annotations

import hashlib
import json
from array import array
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, overload

import numpy as np
from numpy.typing import NDArray

from rankscope.models import decisive_texts, regimes_of
from rankscope.spool import Spool, equal_items

if TYPE_CHECKING:
    from transformers import PretrainedConfig


@dataclass(frozen=True, slots=True)
class PlannedText:
    """One text as token ids.

    Attributes:
        index: its position in the data set.
        id: the text's own; with the window's number if texts are split into windows.
        tokens: the ids.
        is_cut: whether the text was truncated after them.
    """

    index: int
    id: str
    tokens: tuple[int, ...]
    is_cut: bool = False


@dataclass(frozen=True, slots=True)
class UnusableText:
    """A text that cannot be measured, and why; `n_tokens` is None if not all tokens were counted."""

    index: int
    id: str
    n_tokens: int | None
    reason: str


@dataclass(frozen=True, eq=False)
class PlannedBatches(Sequence[tuple[PlannedText, ...]]):
    """Batches of texts; only those of the requested batch are read.

    Attributes:
        texts: id and token ids (int32) of each text, in any order.
        places: position of each text in `texts`, in batch order.
        indices: position of each text in the data set, in batch order.
        lengths: number of tokens of each text, in batch order.
        are_cut: whether each text was truncated, in batch order.
        bounds: batch `n` holds the texts from `bounds[n]` up to, but not including, `bounds[n + 1]`.
    """

    texts: Spool[tuple[str, bytes]]
    places: NDArray[np.int64]
    indices: NDArray[np.int64]
    lengths: NDArray[np.int32]
    are_cut: NDArray[np.bool_]
    bounds: NDArray[np.int64]

    @classmethod
    def of(cls, batches: Iterable[Sequence[PlannedText]]) -> PlannedBatches:
        """Batches whose texts are in memory."""
        texts: Spool[tuple[str, bytes]] = Spool()
        indices, lengths, are_cut, bounds = array("q"), array("i"), bytearray(), array("q", [0])
        for batch in batches:
            for text in batch:
                texts.add((text.id, array("i", text.tokens).tobytes()))
                indices.append(text.index)
                lengths.append(len(text.tokens))
                are_cut.append(text.is_cut)
            bounds.append(len(texts))
        return cls(
            texts,
            np.arange(len(texts)),
            np.array(indices, dtype=np.int64),
            np.array(lengths, dtype=np.int32),
            np.array(are_cut, dtype=np.bool_),
            np.array(bounds, dtype=np.int64),
        )

    @property
    def sizes(self) -> NDArray[np.int64]:
        """Tokens of each batch, excluding padding."""
        before: NDArray[np.int64] = np.concatenate([[0], np.cumsum(self.lengths, dtype=np.int64)])
        return np.diff(before[self.bounds])

    def only(self, numbers: Collection[int]) -> PlannedBatches:
        """The same number of batches; all but the given ones are empty."""
        kept = frozenset(numbers)
        return PlannedBatches.of(self[number] if number in kept else () for number in range(len(self)))

    def __len__(self) -> int:
        return len(self.bounds) - 1

    @overload
    def __getitem__(self, number: int) -> tuple[PlannedText, ...]: ...
    @overload
    def __getitem__(self, number: slice) -> tuple[tuple[PlannedText, ...], ...]: ...
    def __getitem__(self, number: int | slice) -> tuple[PlannedText, ...] | tuple[tuple[PlannedText, ...], ...]:
        numbers = range(len(self))[number]
        if isinstance(numbers, range):
            return tuple(self[one] for one in numbers)
        return tuple(map(self._text, range(self.bounds[numbers], self.bounds[numbers + 1])))

    def _text(self, place: int) -> PlannedText:
        name, tokens = self.texts[int(self.places[place])]
        ids = array("i", tokens)
        return PlannedText(int(self.indices[place]), name, tuple(ids), bool(self.are_cut[place]))

    def __eq__(self, other: object) -> bool:
        return equal_items(self, other)

    __hash__ = None  # type: ignore[assignment]


@dataclass(frozen=True)
class Plan:
    """What one model reads from one set of texts.

    Attributes:
        batches: longest texts first, so that memory runs out at the start or not at all.
        unusable: texts with too few or too many tokens, and those skipped earlier.
    """

    batches: PlannedBatches
    unusable: tuple[UnusableText, ...]
    _decisive: dict[tuple[int, ...], list[list[Sequence[int]]]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @classmethod
    def of(cls, batches: Iterable[Sequence[PlannedText]], unusable: Iterable[UnusableText] = ()) -> Plan:
        """A plan with batches in memory."""
        return cls(PlannedBatches.of(batches), tuple(unusable))

    def only(self, numbers: Collection[int]) -> Plan:
        """The part of the plan that is needed to measure the given batches, for sending to a worker.

        The other batches are empty, so each batch keeps its number. The unusable texts are included if the number
        after the last batch is among those given.
        """
        return Plan(self.batches.only(numbers), self.unusable if len(self.batches) in numbers else ())

    @property
    def cut(self) -> int:
        """The number of texts that were truncated."""
        return int(self.batches.are_cut.sum())

    @cached_property
    def fingerprint(self) -> str:
        """sha256 over the network's input: token ids, their batches, and unusable texts.

        Equals the sha256 of the JSON text `[batches, unusable]`, which is written batch by batch.
        """
        digest = hashlib.sha256(b"[[")
        for number, batch in enumerate(self.batches):
            written = json.dumps([[text.index, text.id, text.tokens] for text in batch])
            digest.update((f", {written}" if number else written).encode())
        unusable = json.dumps([[text.index, text.id, text.reason] for text in self.unusable])
        digest.update(f"], {unusable}]".encode())
        return digest.hexdigest()

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """Tokens of each batch, excluding padding, followed by 0 for the unusable texts, if any."""
        return (*self.batches.sizes.tolist(), *([0] if self.unusable else []))

    @property
    def tokens(self) -> int:
        """Tokens in all batches, excluding padding."""
        return int(self.batches.lengths.sum(dtype=np.int64))

    def texts_of(self, number: int) -> list[int]:
        """The indices of the texts in a batch; the number after the last batch stands for the unusable texts."""
        if number == len(self.batches):
            return [text.index for text in self.unusable]
        start, end = self.batches.bounds[number : number + 2]
        found: list[int] = self.batches.indices[start:end].tolist()
        return found

    @property
    def token_ids(self) -> Iterator[list[tuple[int, ...]]]:
        """The ids of each text, batch by batch, for batches that have texts."""
        return ([text.tokens for text in batch] for batch in self.batches if batch)

    def decisive(self, config: PretrainedConfig) -> list[list[Sequence[int]]]:
        """A few texts to which a network is fitted as it would be to all of them; see `decisive_texts`.

        This reads all texts, once for all networks that change their computation at the same lengths.
        """
        regimes = regimes_of(config)
        if regimes not in self._decisive:
            self._decisive[regimes] = decisive_texts(config, self.token_ids)
        return self._decisive[regimes]


class PlanWriter:
    """Collects texts in the data set's order, then fills batches with them."""

    def __init__(self) -> None:
        self._texts: Spool[tuple[str, bytes]] = Spool()
        self._indices, self._lengths, self._are_cut = array("q"), array("i"), bytearray()
        self._unusable: list[UnusableText] = []

    @property
    def _next(self) -> int:
        return len(self._texts) + len(self._unusable)

    def add(self, name: str, tokens: Sequence[int], *, is_cut: bool = False) -> None:
        """Adds a text, or a window of one."""
        self._indices.append(self._next)
        self._texts.add((name, array("i", tokens).tobytes()))
        self._lengths.append(len(tokens))
        self._are_cut.append(is_cut)

    def refuse(self, name: str, n_tokens: int | None, reason: str) -> None:
        """Records a text that cannot be measured."""
        self._unusable.append(UnusableText(self._next, name, n_tokens, reason))

    def plan(self, batch_tokens: int | None) -> Plan:
        """Sorts by decreasing length, keeps texts of equal length in the data set's order, and fills batches.

        Args:
            batch_tokens: maximum number of tokens in a batch, including padding; a longer text gets its own batch.
                None: one text per batch.
        """
        lengths = np.array(self._lengths, dtype=np.int32)
        order = np.argsort(-lengths, kind="stable")
        lengths = lengths[order]
        batches = PlannedBatches(
            self._texts,
            order,
            np.array(self._indices, dtype=np.int64)[order],
            lengths,
            np.array(self._are_cut, dtype=np.bool_)[order],
            _bounds_of_batches(lengths, batch_tokens),
        )
        return Plan(batches, tuple(self._unusable))


def _bounds_of_batches(lengths: NDArray[np.int32], batch_tokens: int | None) -> NDArray[np.int64]:
    """For texts sorted by decreasing length; the first of each batch is its longest."""
    bounds, start = array("q", [0]), 0
    while start < len(lengths):
        fitting = 1 if batch_tokens is None else max(batch_tokens // int(lengths[start]), 1)
        start = min(start + fitting, len(lengths))
        bounds.append(start)
    return np.array(bounds, dtype=np.int64)
