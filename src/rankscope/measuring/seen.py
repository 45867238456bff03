"""The input of reducers: the hidden states of a batch's texts at one layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from rankscope.errors import RepresentationError
from rankscope.metrics import Representations, drop_tokens


@dataclass(frozen=True)
class HowSeen:
    """Settings that are the same for all layers.

    Attributes:
        drop: which tokens to exclude; see `metrics.drop_tokens`.
        computed_in: the dtype of the forward pass.
        spectra_dtype: the precision of spectra; None to decide for each text.
    """

    drop: str | None = None
    computed_in: torch.dtype | None = None
    spectra_dtype: torch.dtype | None = None


class Seen:
    """The texts of a batch at one layer.

    Args:
        layer: name.
        texts: the hidden states (tokens, d) of each text, by its place in the data set.
        how: settings for reading them.

    Attributes:
        layer: name.
        states: (tokens, d) of each text that has any. `release` empties it: networks may overwrite the states with the
            next layer, and states must not accumulate.
        errors: by position in the data set, for texts with too few tokens after dropping.
        tokens: N of each text that has states.
        hidden_size: d.
        device: where the states are.
    """

    def __init__(self, layer: str, texts: Mapping[int, Tensor], how: HowSeen | None = None) -> None:
        self.layer, self._how = layer, how or HowSeen()
        self.errors: dict[int, RepresentationError] = {}
        self.states: dict[int, Tensor] = {}
        for place, hidden in texts.items():
            try:
                self.states[place] = hidden if self._how.drop is None else drop_tokens(hidden, self._how.drop)
            except RepresentationError as error:
                self.errors[place] = error
        self.tokens = {place: len(hidden) for place, hidden in self.states.items()}
        first = next(iter(texts.values()))
        self.hidden_size, self.device = first.shape[1], first.device

    @cached_property
    def places(self) -> tuple[int, ...]:
        """Positions in the data set of the texts that have states."""
        return tuple(self.tokens)

    @cached_property
    def representations(self) -> Representations:
        """The representations of these texts, in the order of `places`; computed once, on first access."""
        how = self._how
        return Representations(list(self.states.values()), dtype=how.spectra_dtype, computed_in=how.computed_in)

    @property
    def spectra_dtype(self) -> torch.dtype | None:
        """The precision of spectra."""
        return self._how.spectra_dtype

    def release(self) -> None:
        """Frees the states and data of similar size."""
        self.states = {}
        self.representations.release()
