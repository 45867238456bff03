"""From hidden states to numbers during the forward pass: per text, between layers, and over a data set.

A reducer sees each layer once, as its hidden states are computed, and keeps only what its numbers need: numbers of
each text, the states of the previous layer, or sums over tokens. States never accumulate.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from torch import Tensor

from rankscope.measuring.columns import Row
from rankscope.measuring.seen import Seen
from rankscope.measuring.transfer import Transfer
from rankscope.metrics import TokenMoments
from rankscope.settings import Pool

Place = tuple[int, str]
"""A text's position in the data set and a layer's name."""


class Reducer(Protocol):
    """Sees the layers of a batch in order of depth, and turns them into values of rows."""

    def see(self, seen: Seen) -> None:
        """Takes one layer of some texts."""

    def close(self) -> None:
        """Called after the last layer: starts the transfer of numbers to the host."""

    def rows(self, each: Mapping[Place, Row]) -> dict[Place, Row]:
        """The values by text and layer; waits for the transfer.

        Args:
            each: the numbers of each text at each layer, or why it was skipped.
        """


@dataclass
class OneVector:
    """One vector per text and layer, for metrics of a whole data set.

    Attributes:
        pool: `mean` of a text's states, or the `first` or `last` state; None for no vectors.
    """

    pool: Pool | None
    _places: list[Place] = field(default_factory=list)
    _vectors: list[Tensor] = field(default_factory=list)
    _transfer: Transfer | None = None

    def see(self, seen: Seen) -> None:
        """Pools each text's states; a text without states has no vector."""
        if self.pool is None:
            return
        for place, states in seen.states.items():
            self._places.append((place, seen.layer))
            self._vectors.append(pooled(states, self.pool).clone())

    def close(self) -> None:
        """Sends all vectors in one copy."""
        self._transfer = Transfer(self._vectors)

    def rows(self, _each: Mapping[Place, Row]) -> dict[Place, Row]:
        """The vectors."""
        vectors = self._transfer.read() if self._transfer is not None else []
        return {place: {"pooled": vector.tolist()} for place, vector in zip(self._places, vectors, strict=True)}


def pooled(states: Tensor, pool: Pool) -> Tensor:
    """Pools a text's states (tokens, d) into one vector (d,): their mean, or the first or last state."""
    if pool == "mean":
        return states.double().mean(dim=0) if states.device.type != "mps" else states.mean(dim=0)
    return states[0 if pool == "first" else -1]


@dataclass(frozen=True)
class TokenSums:
    """Moments of tokens over a data set, by layer and kind of token. The sums of parts add up to those of the whole.

    Attributes:
        moments: by layer and kind.
    """

    moments: Mapping[tuple[int, str], TokenMoments] = field(default_factory=dict)

    @classmethod
    def of(cls, layer: int, kinds: Mapping[str, Tensor]) -> TokenSums:
        """The sums of the tokens of one layer, (tokens, d) for each kind."""
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
