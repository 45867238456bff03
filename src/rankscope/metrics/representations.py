"""Hidden states of several texts at one layer, in the forms that metrics read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from rankscope.errors import RepresentationError
from rankscope.metrics import devices
from rankscope.metrics.arithmetic import arithmetic_for, float32_may_do
from rankscope.metrics.arrays import ArrayLike, hidden_states, token_mask
from rankscope.metrics.decomposition import Decomposition, Decompositions, Spectrum
from rankscope.metrics.devices import on_device
from rankscope.metrics.faults import Faults
from rankscope.metrics.rounding import rounding_of
from rankscope.metrics.rows import Texts, UnitRows, exact_unit_rows, one_token, quick_unit_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from rankscope.metrics.table import Metric


@dataclass
class Part:
    """Texts whose unit rows have the same dtype.

    Attributes:
        places: of the texts, in the order of the call.
        rows: their unit rows; None after `Representations.release`.
        faults: their faults, not read yet; None once they were read and there are none.
        decomposition: of their Gram matrices, once requested.
    """

    places: tuple[int, ...]
    rows: UnitRows | None
    faults: Faults | None = None
    decomposition: Decomposition | None = None

    def number(self, metric: Metric) -> Float[Tensor, " texts"]:
        """A metric of each text; one that reads spectra requires their decomposition."""
        numbers: Tensor = metric.function(self.rows if metric.reads == "unit rows" else self.spectrum)
        return numbers

    @property
    def spectrum(self) -> Spectrum:
        """The spectra of all these texts."""
        assert self.decomposition is not None, "decompose comes first"  # noqa: S101 (a programming error)
        return self.decomposition.spectrum


class Representations:
    """Hidden states of several texts at one layer.

    Args:
        states: (tokens, d) of each text, on one device.
        dtype: the precision, as in `spectrum`.
        computed_in: the dtype of the forward pass, as in `unit_rows`.

    Attributes:
        states: as given, until `release`.
        errors: by position, of texts that are known to have no unit rows.
        zero: positions of those whose states are all zero.
        parts: the other texts. On a CPU all have been checked; on an accelerator their faults are yet to be read.
    """

    def __init__(
        self,
        states: Sequence[Float[Tensor, "_tokens hidden"]],
        *,
        dtype: torch.dtype | None = None,
        computed_in: torch.dtype | None = None,
    ) -> None:
        self.states: Sequence[Tensor] = states
        self.errors = {place: one_token(one) for place, one in enumerate(states) if len(one) < 2}
        self.zero: set[int] = set()
        self.parts: list[Part] = []
        self._dtype = dtype
        places = tuple(place for place in range(len(states)) if place not in self.errors)
        if not places:
            return
        if dtype is None and float32_may_do(states[places[0]]):
            places = self._take_quick(places)
        if places:
            self._take_exact(places, computed_in)

    def decompose(self, waiting: Decompositions) -> None:
        """Queues the Gram matrices of all texts."""
        for part in self.parts:
            if part.rows is not None:
                part.decomposition = waiting.add(part.rows)

    def release(self) -> None:
        """Frees states and unit rows, once they are no longer needed."""
        self.states = ()
        for part in self.parts:
            part.rows = None

    def spectrum_of(self, place: int) -> Spectrum | None:
        """The spectrum of one text, after decomposition; None if it is known to have none."""
        for part in self.parts:
            if place in part.places and part.decomposition is not None and place not in self.errors:
                whole, number = part.decomposition, part.places.index(place)
                values = whole.values[number][: min(whole.tokens[number], whole.hidden_size)]
                tokens = on_device([whole.tokens[number]], values.device)[0]
                return Spectrum(values / values.sum(), tokens, whole.hidden_size)
        return None

    @property
    def spectrum(self) -> Spectrum:
        """The spectra of all texts, in order, decomposed now.

        Raises:
            RepresentationError: for the first text without a spectrum.
        """
        self._decompose_now()
        each = {
            place: values
            for part in self.parts
            for place, values in zip(part.places, part.spectrum.eigenvalues, strict=True)
        }
        eigenvalues = [each[place][: min(one.shape)] for place, one in enumerate(self.states)]
        tokens = on_device([len(one) for one in self.states], eigenvalues[0].device)
        padded = torch.nn.utils.rnn.pad_sequence(eigenvalues, batch_first=True)
        return Spectrum(padded, tokens, self.states[0].shape[1])

    @property
    def spectrum_of_one_text(self) -> Spectrum:
        """The spectrum of the only text, decomposed now, without a batch dimension.

        Raises:
            RepresentationError: it has none.
        """
        self._decompose_now()
        spectrum = self.spectrum_of(0)
        assert spectrum is not None  # noqa: S101 (for the type checker)
        return spectrum

    def _decompose_now(self) -> None:
        waiting = Decompositions(self._dtype)
        self.decompose(waiting)
        waiting.run()
        self.refuse()

    def of_rows(self, function: Callable[[UnitRows], Float[Tensor, " _texts"]]) -> Float[Tensor, " texts"]:
        """A number per text from its unit rows, in the order of texts; all texts must have unit rows."""
        found = {
            place: number
            for part in self.parts
            if part.rows is not None
            for place, number in zip(part.places, function(part.rows), strict=True)
        }
        return torch.stack([found[place].to(torch.float64) for place in range(len(self.states))])

    def refuse(self) -> None:
        """Reads the faults of texts.

        Raises:
            RepresentationError: for the first text without unit rows; of several texts, the message says which.
        """
        for part in self.parts:
            if part.faults is not None:
                self.note(part.places, part.faults, part.faults.columns.tolist())
        if self.errors:
            place, error = min(self.errors.items())
            raise (
                error
                if len(self.states) == 1
                else RepresentationError(error.fault, f"text {place} of the batch: {error}")
            )

    def _take_quick(self, places: tuple[int, ...]) -> tuple[int, ...]:
        """Takes the texts whose unit rows float32 can hold, one by one; returns the others."""
        others = []
        for place in places:
            rows = quick_unit_rows(self.states[place])
            if rows is None:
                others.append(place)
            else:
                self.parts.append(Part((place,), UnitRows(rows[None], (len(rows),))))
        return tuple(others)

    def _take_exact(self, places: tuple[int, ...], computed_in: torch.dtype | None) -> None:
        each = [self.states[place] for place in places]
        arithmetic = arithmetic_for(each[0], self._dtype)
        texts = Texts.of(each, rounding_of(each[0].dtype, arithmetic, computed_in))
        rows, faults = exact_unit_rows(texts, arithmetic)
        if not devices.read_at_once(texts.states.device):
            self.parts.append(Part(places, rows, faults))
            return
        self.note(places, faults, faults.columns.detach().numpy().tolist())
        good = [place for place, of_call in enumerate(places) if of_call not in self.errors]
        if good:
            self.parts.append(Part(_among(places, good), rows.some(good)))

    def note(self, places: Sequence[int], faults: Faults, columns: Iterable[Sequence[float]]) -> None:
        """Records faults that were read."""
        for place, of_text in enumerate(columns):
            if (error := faults.error(place, of_text)) is not None:
                self.errors[places[place]] = error
                if of_text[1]:
                    self.zero.add(places[place])


def _among(places: Sequence[int], chosen: Sequence[int]) -> tuple[int, ...]:
    return tuple(places[place] for place in chosen)


def representations_of(
    hidden: ArrayLike,
    mask: ArrayLike | None = None,
    *,
    dtype: torch.dtype | None = None,
    computed_in: torch.dtype | None = None,
) -> Representations:
    """One text (tokens, d), or the texts of a padded batch (batch, tokens, d), without their padding.

    Raises:
        RepresentationError: wrong shape, or a mask that does not fit; faults of texts are found later.
        SettingsError: a precision other than float32 and float64.
    """
    states = hidden_states(hidden)
    real = None if mask is None else token_mask(mask, states)
    if states.dim() == 2:
        return Representations([states if real is None else states[real]], dtype=dtype, computed_in=computed_in)
    each = [text if real is None else text[real[place]] for place, text in enumerate(states)]
    return Representations(each, dtype=dtype, computed_in=computed_in)
