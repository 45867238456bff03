"""From hidden states to numbers while they exist: for each text, from layer to layer, over a data set.

A reducer sees each layer once, as its hidden states appear in the forward pass, and keeps what its numbers need:
numbers of each text, the states of the layer before, or sums over tokens. States themselves never pile up.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor

from rankscope.errors import RepresentationError
from rankscope.measuring.columns import Row
from rankscope.measuring.seen import Seen
from rankscope.measuring.transfer import Transfer
from rankscope.metrics import Metric, Spectrum, TokenMoments
from rankscope.metrics.decomposition import Decompositions, joint_spectrum
from rankscope.metrics.representations import Part
from rankscope.metrics.rows import read_at_once
from rankscope.metrics.table import metrics_that_read
from rankscope.settings import Pool

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_AT_ONCE = 64 << 20
_AT_ONCE_ON_DEVICES = 1 << 30
"""Bytes of Gram matrices that wait to be decomposed together."""

Place = tuple[int, str]
"""A text's place in the data set and a layer's name."""


class Reducer(Protocol):
    """What sees the layers of a batch, in order of depth, and turns them into values of rows."""

    def see(self, seen: Seen) -> None:
        """One layer of some texts."""

    def close(self) -> None:
        """All layers were seen: numbers set out for the host."""

    def rows(self) -> dict[Place, Row]:
        """What it found, by text and layer; waits for the numbers."""


@dataclass(frozen=True)
class _Part:
    """Some texts at one layer, with what was read of their unit rows."""

    seen: Seen
    part: Part
    of_rows: list[Tensor]


@dataclass
class EachText:
    """Metrics of one text at one layer.

    Gram matrices of several layers are decomposed together, and their numbers come to the host in one copy.

    Attributes:
        metrics: names of those that are wanted.
        with_spectra: the eigenvalues of the first so many texts are kept.
        refuse: called with a text's place, the layer, whether its states are all zero, and an error; raises where the
            error is no reason to skip the text.
    """

    metrics: Collection[str]
    with_spectra: int
    refuse: Callable[[int, str, bool, RepresentationError], None]
    _waiting: Decompositions = field(default_factory=Decompositions)
    _parts: list[_Part] = field(default_factory=list)
    _sent: list[tuple[list[_Part], Transfer]] = field(default_factory=list)
    _found: dict[Place, Row] = field(default_factory=dict)

    def see(self, seen: Seen) -> None:
        """Reduces each text to its Gram matrix and to what is read of its rows; one without rows is skipped."""
        found = seen.representations
        self._skip(seen)
        if self._parts and self._parts[-1].seen.hidden_size != seen.hidden_size:
            self.close()
        self._parts += [_Part(seen, part, [part.number(metric) for metric in self._of_rows]) for part in found.parts]
        if self._reads_spectra:
            self._waiting.dtype = seen.spectra_dtype
            found.decompose(self._waiting)
        if self._waiting.bytes > (_AT_ONCE if read_at_once(seen.device) else _AT_ONCE_ON_DEVICES):
            self.close()

    def close(self) -> None:
        """Decomposes what waits, and sends the numbers of all layers since the last time in one copy."""
        self._waiting.run()
        parts, self._parts = self._parts, []
        if not parts:
            return
        spectra = self._joint(parts) if self._reads_spectra else None
        numbers = [torch.cat(each) for each in zip(*(one.of_rows for one in parts), strict=True)]
        if spectra is not None:
            numbers += [metric.function(spectra) for metric in self._of_spectra]
        tensors = [one.part.faults.columns for one in parts if one.part.faults is not None] + numbers
        if spectra is not None and (shown := self._shown(parts)):
            tensors.append(spectra.positive[shown])
        self._sent.append((parts, Transfer(tensors)))

    def rows(self) -> dict[Place, Row]:
        """A row's numbers for each text and layer."""
        for parts, transfer in self._sent:
            self._take(parts, transfer.read())
        self._sent = []
        return self._found

    def _take(self, parts: list[_Part], arrived: Sequence[npt.NDArray[np.float64]]) -> None:
        coming = iter(arrived)
        for one in parts:
            if one.part.faults is not None:
                one.seen.representations.note(one.part.places, one.part.faults, next(coming).tolist())
                self._skip(one.seen)
        names = [metric.name for metric in (*self._of_rows, *(self._of_spectra if self._reads_spectra else ()))]
        numbers = {name: next(coming).tolist() for name in names}
        shown = self._shown(parts) if self._reads_spectra else []
        eigenvalues = dict(zip(shown, next(coming), strict=True)) if shown else {}
        for number, (seen, place) in enumerate((one.seen, place) for one in parts for place in one.part.places):
            if place in seen.representations.errors:
                continue
            row: Row = {"status": "ok", "n_tokens": seen.tokens[seen.places[place]]}
            row["hidden_size"] = seen.hidden_size
            if number in eigenvalues:
                values = eigenvalues[number]
                row["eigenvalues"] = values[values > 0].tolist()
            of_text = {name: each[number] for name, each in numbers.items()}
            self._found[seen.places[place], seen.layer] = row | of_text

    def _joint(self, parts: list[_Part]) -> Spectrum:
        return joint_spectrum([one.part.decomposition for one in parts if one.part.decomposition is not None])

    def _shown(self, parts: list[_Part]) -> list[int]:
        """The texts whose eigenvalues are kept, by their numbers among those of these parts."""
        places = [one.seen.places[place] for one in parts for place in one.part.places]
        return [number for number, place in enumerate(places) if place < self.with_spectra]

    @cached_property
    def _of_rows(self) -> list[Metric]:
        return [metric for metric in metrics_that_read("unit rows") if metric.name in self.metrics]

    @cached_property
    def _of_spectra(self) -> list[Metric]:
        return [metric for metric in metrics_that_read("spectrum") if metric.name in self.metrics]

    @cached_property
    def _reads_spectra(self) -> bool:
        across = [metric for metric in metrics_that_read("adjacent spectra") if metric.name in self.metrics]
        return bool(self._of_spectra or across)

    def _skip(self, seen: Seen) -> None:
        """Rows for texts that are known to have no unit rows."""
        found = seen.representations
        errors = {seen.places[place]: error for place, error in found.errors.items()} | seen.errors
        zero = {seen.places[place] for place in found.zero}
        for place, error in errors.items():
            if (place, seen.layer) not in self._found:
                self.refuse(place, seen.layer, place in zero, error)
                self._found[place, seen.layer] = {"status": "skipped", "reason": error.fault}


@dataclass
class AcrossLayers:
    """Metrics of a layer and the one before it, of which a copy is kept until the later one has come.

    Attributes:
        metrics: names of those that are wanted.
        before: for each layer whose neighbour is measured too, that neighbour; empty, and nothing is kept.
    """

    metrics: Collection[str]
    before: Mapping[str, str]
    _kept: dict[str, Mapping[int, Tensor]] = field(default_factory=dict)
    _seen: dict[str, Seen] = field(default_factory=dict)
    _found: dict[Place, dict[str, Tensor]] = field(default_factory=dict)
    _transfer: Transfer | None = None

    def see(self, seen: Seen) -> None:
        """Compares each text with the layer before; one without a number at either layer has none."""
        layer = seen.layer
        of_states = [metric for metric in metrics_that_read("adjacent layers") if metric.name in self.metrics]
        earlier = self._kept.get(self.before.get(layer, ""), {})
        for place, states in seen.states.items():
            for metric in of_states if place in earlier else ():
                with suppress(RepresentationError):  # the number is absent; `EachText` says why a text has no spectrum
                    self._found.setdefault((place, layer), {})[metric.name] = metric.function(earlier[place], states)
        self._seen[layer] = seen
        awaited = {before for after, before in self.before.items() if after not in self._seen}
        if layer in awaited and of_states:
            self._kept[layer] = {place: states.clone() for place, states in seen.states.items()}
        self._kept = {name: kept for name, kept in self._kept.items() if name in awaited}

    def close(self) -> None:
        """Compares spectra, which are there by now."""
        of_spectra = [metric for metric in metrics_that_read("adjacent spectra") if metric.name in self.metrics]
        for layer, before in self.before.items() if of_spectra else ():
            earlier, later = self._seen.get(before), self._seen.get(layer)
            if earlier is None or later is None:
                continue
            for place in set(earlier.places) & set(later.places):
                spectra = [seen.representations.spectrum_of(seen.places.index(place)) for seen in (earlier, later)]
                if None not in spectra:
                    found = {metric.name: metric.function(*spectra) for metric in of_spectra}
                    self._found[place, layer] = self._found.get((place, layer), {}) | found
        numbers = [number for of_text in self._found.values() for number in of_text.values()]
        self._transfer = Transfer(numbers)

    def rows(self) -> dict[Place, Row]:
        """The values of each text at each layer that has one before it, where it has states without fault at both."""
        arrived = iter(self._transfer.read() if self._transfer is not None else [])
        rows: dict[Place, Row] = {}
        for at, of_text in self._found.items():
            numbers: Row = {name: float(next(arrived)) for name in of_text}
            if not self._has_fault(*at):
                rows[at] = numbers
        return rows

    def _has_fault(self, place: int, layer: str) -> bool:
        """Whether a text turned out to have no unit rows at a layer or the one before it."""
        seen = [self._seen[name] for name in (layer, self.before[layer])]
        return any(one.places.index(place) in one.representations.errors for one in seen)


@dataclass
class OneVector:
    """One vector for each text at each layer, from which metrics of a whole data set are made.

    Attributes:
        pool: `mean` of a text's states, or the `first` or `last` of them; None for no vectors.
    """

    pool: Pool | None
    _places: list[Place] = field(default_factory=list)
    _vectors: list[Tensor] = field(default_factory=list)
    _transfer: Transfer | None = None

    def see(self, seen: Seen) -> None:
        """Pools each text's states; one without states has no vector."""
        if self.pool is None:
            return
        for place, states in seen.states.items():
            self._places.append((place, seen.layer))
            self._vectors.append(pooled(states, self.pool).clone())

    def close(self) -> None:
        """Sends all vectors in one copy."""
        self._transfer = Transfer(self._vectors)

    def rows(self) -> dict[Place, Row]:
        """The vectors."""
        vectors = self._transfer.read() if self._transfer is not None else []
        return {place: {"pooled": vector.tolist()} for place, vector in zip(self._places, vectors, strict=True)}


def pooled(states: Tensor, pool: Pool) -> Tensor:
    """One vector of a text's states (tokens, d): their mean, or the first or last of them, (d,)."""
    if pool == "mean":
        return states.double().mean(dim=0) if states.device.type != "mps" else states.mean(dim=0)
    return states[0 if pool == "first" else -1]


@dataclass(frozen=True)
class TokenSums:
    """Over a data set: moments of tokens by layer and kind of token. Sums of parts of a data set add up to the whole's.

    Attributes:
        moments: by layer and kind.
    """

    moments: Mapping[tuple[int, str], TokenMoments] = field(default_factory=dict)

    @classmethod
    def of(cls, layer: int, kinds: Mapping[str, Tensor]) -> TokenSums:
        """The tokens of one layer, (tokens, d) for each kind."""
        return cls({(layer, kind): TokenMoments.of(tokens) for kind, tokens in kinds.items()})

    def __add__(self, other: TokenSums) -> TokenSums:
        joined = dict(self.moments)
        for place, moments in other.moments.items():
            joined[place] = joined[place] + moments if place in joined else moments
        return TokenSums(joined)

    def by_layer(self, kind: str) -> list[TokenMoments]:
        """The moments of one kind of token, in order of depth."""
        return [moments for (_, of_kind), moments in sorted(self.moments.items(), key=_depth) if of_kind == kind]


def _depth(entry: tuple[tuple[int, str], TokenMoments]) -> int:
    return entry[0][0]
