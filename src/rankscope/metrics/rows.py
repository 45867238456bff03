"""Centred unit rows of a batch of texts: the only code that centres and normalises hidden states.

Source: Wei et al., Diff-eRank (NeurIPS 2024, arXiv 2401.17139), section 3.

Texts are processed together, padded with zeros, so that an accelerator runs a few large kernels without waits: faults
of a text are detected in tensors (`Faults`) and read with its numbers. `unit_rows` of one text is a batch of one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from rankscope.errors import RepresentationError
from rankscope.metrics.arithmetic import arithmetic_for
from rankscope.metrics.arrays import ArrayLike, states_of_one_text
from rankscope.metrics.devices import on_device, places_of_tokens
from rankscope.metrics.faults import Faults, describe_non_finite
from rankscope.metrics.rounding import rounding_of


@dataclass(frozen=True)
class Texts:
    """Hidden states of several texts, padded with zeros.

    Attributes:
        states: of any floating-point dtype.
        tokens: N of each text, at least 2; known without reading from the device.
        eps: of the coarsest dtype that the states passed through.
    """

    states: Float[Tensor, "batch longest hidden"]
    tokens: tuple[int, ...]
    eps: float

    @classmethod
    def of(cls, states: Sequence[Float[Tensor, "_tokens hidden"]], eps: float) -> Texts:
        """Pads the states of each text."""
        tokens = tuple(len(one) for one in states)
        if len(states) == 1:
            return cls(states[0][None], tokens, eps)
        # Two kernels; padding text by text would launch one per text.
        longest, hidden_size = max(tokens), states[0].shape[1]
        padded = states[0].new_zeros(len(states) * longest, hidden_size)
        padded = padded.index_copy(0, places_of_tokens(tokens, longest, padded.device), torch.cat(list(states)))
        return cls(padded.view(len(states), longest, hidden_size), tokens, eps)

    @cached_property
    def counts(self) -> Float[Tensor, " batch"]:
        """N of each text as a tensor, in float32, which holds them exactly."""
        return on_device(self.tokens, self.states.device, torch.float32)

    @cached_property
    def real(self) -> Bool[Tensor, "batch longest"] | None:
        """True for rows of tokens; None if there is no padding."""
        longest = self.states.shape[1]
        if min(self.tokens) == longest:
            return None
        return torch.arange(longest, device=self.states.device) < self.counts[:, None]

    def some(self, places: Sequence[int]) -> Texts:
        """Some of the texts, padded to the longest of them."""
        if len(places) == len(self.tokens):
            return self
        tokens = tuple(self.tokens[place] for place in places)
        index = on_device(places, self.states.device)
        return replace(self, states=self.states[index, : max(tokens)], tokens=tokens)


@dataclass(frozen=True)
class UnitRows:
    """Centred unit rows u_i = (z_i - mean) / ||z_i - mean|| of several texts, padded with zeros.

    Attributes:
        rows: in the precision of later steps; zeros or NaN for a text without unit rows.
        tokens: N of each text.
    """

    rows: Float[Tensor, "batch longest hidden"]
    tokens: tuple[int, ...]

    @cached_property
    def counts(self) -> Float[Tensor, " batch"]:
        """N of each text as a tensor, in the dtype of the rows."""
        return on_device(self.tokens, self.rows.device, self.rows.dtype)

    @property
    def hidden_size(self) -> int:
        """The d of each row."""
        return self.rows.shape[2]

    def text(self, place: int) -> Float[Tensor, "_tokens hidden"]:
        """The rows of one text."""
        return self.rows[place, : self.tokens[place]]

    def some(self, places: Sequence[int]) -> UnitRows:
        """The rows of some of the texts."""
        if len(places) == len(self.tokens):
            return self
        tokens = tuple(self.tokens[place] for place in places)
        index = on_device(places, self.rows.device)
        return UnitRows(self.rows[index, : max(tokens)], tokens)


@dataclass(frozen=True)
class Centred:
    """Centred rows of several texts, scaled so that squares neither overflow nor vanish.

    Attributes:
        rows: minus their mean, all of a text divided by one number; not zero in padding.
        lengths: of these rows; infinite in padding.
        sizes: lengths of the states themselves; zero in padding.
        distances: of each row from the mean divided by the sum of their lengths; infinite in padding.
        finite: whether all values of a text are finite.
    """

    rows: Float[Tensor, "batch longest hidden"]
    lengths: Float[Tensor, "batch longest"]
    sizes: Float[Tensor, "batch longest"]
    distances: Float[Tensor, "batch longest"]
    finite: Bool[Tensor, " batch"]


def centre(texts: Texts, dtype: torch.dtype) -> Centred:
    """Centred rows in a given precision, with the data to check whether they can be trusted."""
    states, counts = texts.states, texts.counts.to(dtype)
    if torch.finfo(states.dtype).bits >= torch.finfo(dtype).bits:  # otherwise squares fit in the wider exponent
        scale = states.detach().abs().amax(dim=(1, 2)).to(dtype)
        states = states.to(dtype) / torch.where(torch.isfinite(scale) & (scale > 0), scale, 1.0)[:, None, None]
    mean = states.sum(dim=1, dtype=dtype) / counts[:, None]
    centred = states - mean[:, None]
    lengths: Tensor = torch.linalg.vector_norm(centred, dim=2)
    sizes: Tensor = torch.linalg.vector_norm(states.detach(), dim=2, dtype=dtype)
    together = sizes + torch.linalg.vector_norm(mean.detach(), dim=1)[:, None]
    distances = lengths.detach() / torch.where(together > 0, together, 1.0)
    finite = torch.isfinite(lengths.detach()).all(dim=1)
    if texts.real is not None:
        lengths, distances = (torch.where(texts.real, one, torch.inf) for one in (lengths, distances))
    return Centred(centred, lengths, sizes, distances, finite)


def exact_unit_rows(texts: Texts, dtype: torch.dtype = torch.float64) -> tuple[UnitRows, Faults]:
    """Unit rows with the same precision throughout, and the faults of texts; nothing is read from the device."""
    centred = centre(texts, dtype)
    faults = Faults.of(texts, centred)
    usable = faults.columns[:, 0] == 0
    lengths = torch.where(usable[:, None] & (centred.lengths > 0), centred.lengths, torch.inf)
    # Rows of a text with a fault are zero, or NaN if its states are not finite.
    return UnitRows(centred.rows / lengths[..., None], texts.tokens), faults


NEAR_THE_MEAN = 2**-4
"""Rows relatively closer to their mean than this are left to float64, which also decides if they are rounding."""

_FAR_FROM_THE_MEAN = 0.5


def quick_unit_rows(states: Float[Tensor, "tokens hidden"]) -> Float[Tensor, "tokens hidden"] | None:
    """Unit rows of one text in float32 on a CPU, with the error of rounding them once; None if they need float64.

    Rows are centred twice: the first difference loses digits of the mean, which the second recovers. Rows far from
    their mean lose none. None for a text with any fault: its rows are close to the mean, or not finite.
    """
    rows = states.float()
    mean = rows.mean(dim=0)
    centred = rows - mean
    lengths: Tensor = torch.linalg.vector_norm(centred, dim=1)
    shortest, longest = (float(one) for one in (lengths.numpy().min(), lengths.numpy().max()))
    if not (shortest > 1e-18 and longest < 1e18):  # squares would vanish or overflow; or NaN
        return None
    # A row is at most as long as its distance from the mean plus the mean: a lower bound of `Centred.distances`.
    nearest = shortest / (shortest + 2 * float(torch.linalg.vector_norm(mean).numpy()))
    if nearest < NEAR_THE_MEAN:
        return None
    if nearest < _FAR_FROM_THE_MEAN:
        centred -= centred.mean(dim=0)
        lengths = torch.linalg.vector_norm(centred, dim=1)
    return centred.div_(lengths[:, None])


def unit_rows(
    hidden: ArrayLike, *, dtype: torch.dtype | None = None, computed_in: torch.dtype | None = None
) -> Float[Tensor, "tokens hidden"]:
    """Rows centred on their mean, then scaled to unit length: u_i = (z_i - mean) / ||z_i - mean||.

    Args:
        hidden: Z, the hidden states of one text, (tokens N, hidden size d); a tensor, an array or nested lists.
        dtype: the precision, float32 or float64. None: float64, or float32 on devices without it (MPS). In
            float64 the result is immune to TF32 and autocast, and exact for all practical purposes.
        computed_in: the dtype of the forward pass, if the states were converted to a finer one since. Rows
            that differ by no more than its rounding are equal; see `metrics/rounding.py`.

    Raises:
        RepresentationError: fewer than two tokens, equal rows, a row at the mean, NaN or infinity, wrong shape.
        SettingsError: a precision other than float32 and float64.

    Example:
        >>> unit_rows([[3.0, 1.0], [1.0, 1.0], [2.0, 4.0], [2.0, -2.0]])
        tensor([[ 1.,  0.],
                [-1.,  0.],
                [ 0.,  1.],
                [ 0., -1.]], dtype=torch.float64)
    """
    hidden = states_of_one_text(hidden)
    arithmetic = arithmetic_for(hidden, dtype)
    texts = Texts.of([_with_two_tokens(hidden)], rounding_of(hidden.dtype, arithmetic, computed_in))
    rows, faults = exact_unit_rows(texts, arithmetic)
    if (error := faults.error(0, faults.columns[0].tolist())) is not None:
        raise error
    return rows.rows[0]


def centred_rows(
    hidden: ArrayLike, *, dtype: torch.dtype | None = None, computed_in: torch.dtype | None = None
) -> Float[Tensor, "tokens hidden"]:
    """Rows minus their mean, all divided by the largest number among the states, without changing relative lengths.

    Args:
        hidden: as in `unit_rows`.
        dtype: the precision, as in `unit_rows`.
        computed_in: the dtype of the forward pass, as in `unit_rows`.

    Raises:
        RepresentationError: fewer than two tokens, equal rows, NaN or infinity, wrong shape.
        SettingsError: a precision other than float32 and float64.
    """
    hidden = states_of_one_text(hidden)
    arithmetic = arithmetic_for(hidden, dtype)
    texts = Texts.of([_with_two_tokens(hidden)], rounding_of(hidden.dtype, arithmetic, computed_in))
    centred = centre(texts, arithmetic)
    faults = Faults.of(texts, centred)
    error = faults.error(0, faults.columns[0].tolist())
    if error is not None and error.fault != "row at the mean":
        raise error
    return centred.rows[0]


def _with_two_tokens(hidden: Tensor) -> Tensor:
    if hidden.shape[0] < 2:
        raise one_token(hidden)
    return hidden


def one_token(hidden: Tensor) -> RepresentationError:
    """The error for a text with fewer than two tokens."""
    return RepresentationError(
        "one token",
        f"a spectrum needs at least 2 tokens, got hidden states of shape {tuple(hidden.shape)}: "
        "centred on its own mean, a single row is zero. Exclude such texts",
    )


def directions(states: Float[Tensor, "rows features"], *, row: str = "token") -> Float[Tensor, "rows features"]:
    """Rows scaled to unit length, not centred.

    Args:
        states: the rows.
        row: the name of a row in messages.

    Raises:
        RepresentationError: a row of zeros, NaN or infinity.
    """
    rows, usable = directions_where_defined(states)
    if usable.all():
        return rows
    if not torch.isfinite(states).all():
        raise RepresentationError("not finite", describe_non_finite(states, row=row))
    index = int((~usable).nonzero()[0])
    raise RepresentationError(
        "zero state", f"the state of {row} {index} of {len(rows)} is zero and has no direction: exclude the text"
    )


def directions_where_defined(
    states: Float[Tensor, "*batch features"],
) -> tuple[Float[Tensor, "*batch features"], Bool[Tensor, " *batch"]]:
    """Rows scaled to unit length, and which of them have a direction; nothing is read from the device."""
    rows = states.to(arithmetic_for(states, None))
    scales = rows.detach().abs().amax(dim=-1, keepdim=True)
    usable = torch.isfinite(scales) & (scales > 0)
    rows = rows / torch.where(usable, scales, 1.0)  # first, so that squares neither overflow nor vanish
    lengths: Tensor = torch.linalg.vector_norm(rows, dim=-1, keepdim=True)
    return rows / torch.where(usable, lengths, 1.0), usable[..., 0]
