"""The hidden states of one text at one layer, with what several metrics read of them."""

from __future__ import annotations

from functools import cached_property

import torch
from torch import Tensor

from rankscope.metrics.arrays import ArrayLike, states_of_one_text
from rankscope.metrics.controls import drop_tokens
from rankscope.metrics.spectrum import Spectrum, spectrum_of_unit_rows, unit_rows
from rankscope.metrics.table import Reads


class Representation:
    """Hidden states; their unit rows and their spectrum are computed once, when a metric first reads them.

    Args:
        hidden: hidden states of one text, (tokens, d); a tensor, an array or nested lists.
        computed_in: the dtype of the forward pass, as in `unit_rows`.
        drop: tokens to leave out, as in `drop_tokens`.
    """

    def __init__(self, hidden: ArrayLike, *, computed_in: torch.dtype | None = None, drop: str | None = None) -> None:
        self._hidden, self._computed_in, self._drop = hidden, computed_in, drop

    @cached_property
    def states(self) -> Tensor:
        """Hidden states that are kept, (tokens, d).

        Raises:
            RepresentationError: another shape, or fewer than two tokens left after dropping.
        """
        return states_of_one_text(self._hidden) if self._drop is None else drop_tokens(self._hidden, self._drop)

    @cached_property
    def unit_rows(self) -> Tensor:
        """Rows centred on their mean and scaled to unit length, (tokens, d).

        Raises:
            RepresentationError: as `metrics.unit_rows`.
        """
        return unit_rows(self.states, computed_in=self._computed_in)

    @cached_property
    def spectrum(self) -> Spectrum:
        """The eigenvalues of the normalised covariance.

        Raises:
            RepresentationError: as `metrics.unit_rows`.
        """
        return spectrum_of_unit_rows(self.unit_rows)

    def own(self) -> Representation:
        """Copies the states, for one that outlives its layer: networks may write the next layer over them.

        Raises:
            RepresentationError: as `states`.
        """
        self.states = self.states.clone()
        return self

    def read_by(self, reads: Reads) -> Tensor | Spectrum:
        """What a metric is given of this layer.

        Raises:
            RepresentationError: as `spectrum`.
        """
        if reads in ("spectrum", "adjacent spectra"):
            return self.spectrum
        return self.unit_rows if reads == "unit rows" else self.states

    @property
    def has_spectrum(self) -> bool:
        """Whether a metric has read the spectrum."""
        return "spectrum" in vars(self)
