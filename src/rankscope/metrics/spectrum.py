"""The spectrum of a representation: the one place that centres, normalises and decomposes.

Source: Wei et al., Diff-eRank (NeurIPS 2024, arXiv 2401.17139), section 3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float, Int
from torch import Tensor

from rankscope.errors import RepresentationError, SettingsError
from rankscope.metrics.arrays import ArrayLike, hidden_states, states_of_one_text, token_mask
from rankscope.metrics.rounding import refuse_equal_rows, refuse_rounding_noise, relative_distances, rounding_of

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True)
class Spectrum:
    """Eigenvalues of the normalised covariance of one representation, or of a batch of them.

    Attributes:
        eigenvalues: non-negative, descending, summing to 1; k = min(tokens, hidden size) of them.
            In a batch, shorter texts are filled up with zeros, which add nothing to any metric.
        tokens: N, the rows that each spectrum came from.
        hidden_size: d.
    """

    eigenvalues: Float[Tensor, "*batch k"]
    tokens: Int[Tensor, "*batch"]
    hidden_size: int

    @property
    def positive(self) -> Float[Tensor, "*batch k"]:
        """The eigenvalues with those that are rounding of zero set to exactly 0.

        A representation has at most min(N - 1, d) non-zero eigenvalues. What comes out below
        eps k lambda_max is rounding in the decomposition; its logarithm and root would bias the
        metrics and make their gradients infinite.
        """
        k = self.eigenvalues.shape[-1]
        floor = torch.finfo(self.eigenvalues.dtype).eps * k * self.eigenvalues[..., :1].detach()
        if self.eigenvalues.dtype == torch.float32:
            floor = floor / k  # float32 has no digits to spare: keep what stands above one rounding
        return torch.where(self.eigenvalues > floor, self.eigenvalues, 0.0)


def unit_rows(
    hidden: ArrayLike, *, dtype: torch.dtype | None = None, computed_in: torch.dtype | None = None
) -> Float[Tensor, "tokens hidden"]:
    """Rows centred on their mean, then scaled to unit length: u_i = (z_i - mean) / ||z_i - mean||.

    Args:
        hidden: Z, the hidden states of one text, (tokens N, hidden size d); a tensor, an array or nested lists.
        dtype: the arithmetic, float32 or float64. None: float64, or float32 on devices without it (MPS). In
            float64 the result is immune to TF32 and autocast, and exact for all practical purposes.
        computed_in: the dtype of the forward pass, where the states were converted to a finer one since. Rows
            that differ by no more than its rounding are equal; see `metrics/rounding.py`.

    Raises:
        RepresentationError: fewer than two tokens, equal rows, a row at the mean, NaN or infinity, another shape.
        SettingsError: an arithmetic other than float32 and float64.

    Example:
        >>> unit_rows([[3.0, 1.0], [1.0, 1.0], [2.0, 4.0], [2.0, -2.0]])
        tensor([[ 1.,  0.],
                [-1.,  0.],
                [ 0.,  1.],
                [ 0., -1.]], dtype=torch.float64)
    """
    hidden = states_of_one_text(hidden)
    centred, lengths, distances = _centred(hidden, arithmetic_for(hidden, dtype))
    refuse_rounding_noise(distances, rounding_of(hidden.dtype, centred.dtype, computed_in))
    return centred / lengths


def centred_rows(
    hidden: ArrayLike, *, dtype: torch.dtype | None = None, computed_in: torch.dtype | None = None
) -> Float[Tensor, "tokens hidden"]:
    """Rows minus their mean, all divided by the largest number among the states, lengths as they are.

    Args:
        hidden: as in `unit_rows`.
        dtype: the arithmetic, as in `unit_rows`.
        computed_in: the dtype of the forward pass, as in `unit_rows`.

    Raises:
        RepresentationError: fewer than two tokens, equal rows, NaN or infinity, another shape.
        SettingsError: an arithmetic other than float32 and float64.
    """
    hidden = states_of_one_text(hidden)
    centred, _, distances = _centred(hidden, arithmetic_for(hidden, dtype))
    refuse_equal_rows(distances, rounding_of(hidden.dtype, centred.dtype, computed_in))
    return centred


def _centred(hidden: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    """Scaled and centred rows; their lengths, (tokens, 1); their distances from the mean, relative."""
    if hidden.shape[0] < 2:
        raise RepresentationError(
            "one token",
            f"a spectrum needs at least 2 tokens, got hidden states of shape {tuple(hidden.shape)}: "
            "centred on its own mean, a single row is zero. Leave such texts out",
        )
    rows = hidden.to(dtype)
    scale = rows.detach().abs().amax()
    if not torch.isfinite(scale):
        raise RepresentationError("not finite", describe_non_finite(hidden))
    # Scaled first, so that squares neither overflow nor vanish.
    rows = rows / torch.where(scale > 0, scale, 1.0)
    mean = rows.mean(dim=0)
    centred: Tensor = rows - mean
    lengths: Tensor = torch.linalg.vector_norm(centred, dim=1, keepdim=True)
    return centred, lengths, relative_distances(rows.detach(), mean.detach(), lengths.detach().squeeze(1))


def spectrum(
    hidden: ArrayLike,
    mask: ArrayLike | None = None,
    *,
    dtype: torch.dtype | None = None,
    computed_in: torch.dtype | None = None,
) -> Spectrum:
    """Eigenvalues of Sigma = U^T U / N, where U are the centred unit rows of the hidden states.

    They are those of the smaller of U U^T / N (N x N) and U^T U / N (d x d): one eigenvalue-only
    decomposition of that matrix gives them exactly. Differentiable.

    Args:
        hidden: one text (tokens, d), or a padded batch (batch, tokens, d); a tensor, an array or nested lists.
        mask: True (or 1) where a token is real, (tokens,) or (batch, tokens).
        dtype: the arithmetic, as in `unit_rows`.
        computed_in: the dtype of the forward pass, as in `unit_rows`.

    Raises:
        RepresentationError: as `unit_rows`, or a mask of another shape or with values other than 0 and 1; in a
            batch the message names the text.

    Example:
        >>> spectrum([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]]).eigenvalues
        tensor([0.5000, 0.5000], dtype=torch.float64)
    """
    states = hidden_states(hidden)
    spectra = [spectrum_of_unit_rows(rows) for rows in unit_rows_of_texts(states, mask, dtype, computed_in)]
    if states.dim() == 2:
        return spectra[0]
    return Spectrum(
        torch.nn.utils.rnn.pad_sequence([one.eigenvalues for one in spectra], batch_first=True),
        torch.stack([one.tokens for one in spectra]),
        states.shape[-1],
    )


def spectrum_of_unit_rows(rows: Float[Tensor, "tokens hidden"]) -> Spectrum:
    """The spectrum of one text from its centred unit rows."""
    tokens, hidden_size = rows.shape
    values = descending_eigenvalues(smaller_gram(rows) / tokens)
    return Spectrum(values / values.sum(), torch.tensor(tokens, device=values.device), hidden_size)


def smaller_gram(rows: Float[Tensor, "rows features"]) -> Float[Tensor, "k k"]:
    """X X^T or X^T X, whichever is smaller: they share all eigenvalues that are not zero."""
    return rows @ rows.T if rows.shape[0] <= rows.shape[1] else rows.T @ rows


def descending_eigenvalues(gram: Float[Tensor, "k k"]) -> Float[Tensor, " k"]:
    """The eigenvalues of a positive semidefinite matrix, none below 0."""
    # MPS has neither float64 nor this decomposition; the Gram matrix is small, so the CPU takes it.
    values = torch.linalg.eigvalsh(gram.cpu().double() if gram.device.type == "mps" else gram)
    descending: Tensor = values.to(gram.device, gram.dtype).flip(-1)
    return descending.clamp_min(0)


def directions(states: Float[Tensor, "rows features"], *, row: str = "token") -> Float[Tensor, "rows features"]:
    """Rows scaled to unit length, not centred.

    Args:
        states: the rows.
        row: what messages call one of them.

    Raises:
        RepresentationError: a row of zeros, NaN or infinity.
    """
    if not torch.isfinite(states).all():
        raise RepresentationError("not finite", describe_non_finite(states, row=row))
    rows = states.to(arithmetic_for(states, None))
    scales = rows.detach().abs().amax(dim=1, keepdim=True)
    if (scales == 0).any():
        index = int((scales == 0).flatten().nonzero()[0])
        raise RepresentationError(
            "zero state", f"the state of {row} {index} of {len(rows)} is zero and has no direction: leave the text out"
        )
    rows = rows / scales  # first, so that squares neither overflow nor vanish
    lengths: Tensor = torch.linalg.vector_norm(rows, dim=1, keepdim=True)
    return rows / lengths


def unit_rows_of_texts(
    states: Float[Tensor, "*batch tokens hidden"],
    mask: ArrayLike | None,
    dtype: torch.dtype | None = None,
    computed_in: torch.dtype | None = None,
) -> Iterator[Float[Tensor, "_tokens hidden"]]:
    """The centred unit rows of one text, or of each text of a batch, one after the other, padding left out."""
    real = None if mask is None else token_mask(mask, states)
    if states.dim() == 2:
        yield unit_rows(states if real is None else states[real], dtype=dtype, computed_in=computed_in)
        return
    for index, text in enumerate(states):
        try:
            yield unit_rows(text if real is None else text[real[index]], dtype=dtype, computed_in=computed_in)
        except RepresentationError as error:
            raise RepresentationError(error.fault, f"text {index} of the batch: {error}") from None


def arithmetic_for(hidden: Tensor, dtype: torch.dtype | None) -> torch.dtype:
    """Float64 where the device has it; or what was asked for.

    Raises:
        SettingsError: an arithmetic other than float32 and float64.
    """
    if dtype is None:
        return torch.float32 if hidden.device.type == "mps" else torch.float64
    if dtype not in (torch.float32, torch.float64):
        raise SettingsError(f"spectra are computed in torch.float32 or torch.float64, got dtype={dtype}")
    return dtype


def describe_non_finite(hidden: Tensor, *, row: str = "token") -> str:
    """What a message says of hidden states with NaN or infinity: how many, and where the first is."""
    bad = ~torch.isfinite(hidden)
    index, feature = (int(place) for place in bad.nonzero()[0])
    return (
        f"hidden states must be finite, got {int(bad.sum())} values that are not among "
        f"{hidden.numel()} of dtype {hidden.dtype}, the first {float(hidden[index, feature])} at {row} "
        f"{index}, feature {feature}: try float32 or bfloat16, or check the weights"
    )
