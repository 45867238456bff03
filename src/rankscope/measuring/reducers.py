"""From hidden states to numbers while they exist: for each text, from layer to layer, over a data set.

A reducer sees each layer once, as its hidden states appear in the forward pass, and keeps what its numbers need:
numbers of each text, the states of the layer before, or sums over tokens. States themselves never pile up.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from rankscope.errors import RepresentationError
from rankscope.measuring.columns import Row
from rankscope.metrics import Representation, TokenMoments
from rankscope.metrics.measure import measure_adjacent, measure_representation
from rankscope.settings import Pool

Place = tuple[int, str]
"""A text's place in the data set and a layer's name."""


class Reducer(Protocol):
    """What sees the layers of a batch, in order of depth, and turns them into values of rows."""

    def see(self, layer: str, texts: Mapping[int, Representation]) -> None:
        """One layer of some texts, by their places in the data set."""

    def rows(self) -> dict[Place, Row]:
        """What it found, by text and layer."""


@dataclass
class EachText:
    """Metrics of one text at one layer.

    Attributes:
        metrics: names of those that are wanted.
        with_spectra: the eigenvalues of the first so many texts are kept.
        refuse: called with a text's place, the layer, the states and an error; raises where the error is no reason
            to skip the text.
    """

    metrics: Collection[str]
    with_spectra: int
    refuse: Callable[[int, str, Representation, RepresentationError], None]
    _found: dict[Place, Row] = field(default_factory=dict)

    def see(self, layer: str, texts: Mapping[int, Representation]) -> None:
        """Measures each text; one without a spectrum is skipped, and its row says why."""
        for place, one in texts.items():
            try:
                self._found[place, layer] = self._measured(place, one)
            except RepresentationError as error:
                self.refuse(place, layer, one, error)
                self._found[place, layer] = {"status": "skipped", "reason": error.fault}

    def rows(self) -> dict[Place, Row]:
        """A row's numbers for each text and layer."""
        return self._found

    def _measured(self, place: int, one: Representation) -> Row:
        numbers = measure_representation(one, self.metrics)
        found: Row = {"status": "ok", "n_tokens": one.states.shape[0], "hidden_size": one.states.shape[1]}
        if place < self.with_spectra and one.has_spectrum:
            positive = one.spectrum.positive
            found["eigenvalues"] = positive[positive > 0].tolist()
        return found | _on_host(numbers)


@dataclass
class AcrossLayers:
    """Metrics of a layer and the one before it, of which a copy is kept until the later one has come.

    Attributes:
        metrics: names of those that are wanted.
        before: for each layer whose neighbour is measured too, that neighbour; empty, and nothing is kept.
    """

    metrics: Collection[str]
    before: Mapping[str, str]
    _seen: set[str] = field(default_factory=set)
    _kept: dict[str, Mapping[int, Representation]] = field(default_factory=dict)
    _found: dict[Place, Row] = field(default_factory=dict)

    def see(self, layer: str, texts: Mapping[int, Representation]) -> None:
        """Compares each text with the layer before; one without a spectrum at either layer has no number."""
        earlier = self._kept.get(self.before.get(layer, ""), {})
        for place, one in texts.items():
            if place in earlier:
                self._found[place, layer] = _on_host(self._compared(earlier[place], one))
        self._seen.add(layer)
        awaited = {before for after, before in self.before.items() if after not in self._seen}
        if layer in awaited:
            self._kept[layer] = _owned(texts)
        self._kept = {name: kept for name, kept in self._kept.items() if name in awaited}

    def rows(self) -> dict[Place, Row]:
        """The values of each text at each layer that has one before it."""
        return self._found

    def _compared(self, before: Representation, after: Representation) -> dict[str, Tensor]:
        numbers: dict[str, Tensor] = {}
        for metric in self.metrics:
            with suppress(RepresentationError):  # the number is absent; `EachText` says why a text has no spectrum
                numbers |= measure_adjacent(before, after, [metric])
        return numbers


@dataclass
class OneVector:
    """One vector for each text at each layer, from which metrics of a whole data set are made.

    Attributes:
        pool: `mean` of a text's states, or the `first` or `last` of them; None for no vectors.
    """

    pool: Pool | None
    _found: dict[Place, Row] = field(default_factory=dict)

    def see(self, layer: str, texts: Mapping[int, Representation]) -> None:
        """Pools each text's states; one without states has no vector."""
        if self.pool is None:
            return
        for place, one in texts.items():
            with suppress(RepresentationError):  # `EachText` has the reason
                self._found[place, layer] = {"pooled": pooled(one.states, self.pool).tolist()}

    def rows(self) -> dict[Place, Row]:
        """The vectors."""
        return self._found


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


def _owned(texts: Mapping[int, Representation]) -> dict[int, Representation]:
    """The texts that have states at all, each with a copy of its own."""
    kept = {}
    for place, one in texts.items():
        with suppress(RepresentationError):
            kept[place] = one.own()
    return kept


def _depth(entry: tuple[tuple[int, str], TokenMoments]) -> int:
    return entry[0][0]


def _on_host(numbers: Mapping[str, Tensor]) -> Row:
    """The numbers as floats, in one transfer from the device for all of them."""
    values = torch.stack(list(numbers.values())).tolist() if numbers else []
    return dict(zip(numbers, values, strict=True))
