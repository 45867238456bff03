"""The spectrum of a representation: the one place that centres, normalises and decomposes.

Source: Wei et al., Diff-eRank (NeurIPS 2024, arXiv 2401.17139), section 3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from rankscope.errors import RepresentationError

if TYPE_CHECKING:
    from collections.abc import Iterator

# A centred row shorter than this many roundings of the rows it came from is a row at the mean.
_MEAN_ROUNDINGS = 8


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
    hidden: Float[Tensor, "tokens hidden"], *, dtype: torch.dtype | None = None
) -> Float[Tensor, "tokens hidden"]:
    """Rows centred on their mean, then scaled to unit length: u_i = (z_i - mean) / ||z_i - mean||.

    Args:
        hidden: Z, the hidden states of one text, (tokens N, hidden size d); any floating dtype.
        dtype: the arithmetic. None: float64, or float32 on devices without it (MPS). In float64 the
            result is immune to TF32 and autocast, and exact for all practical purposes.

    Raises:
        RepresentationError: fewer than two tokens, equal rows, a row at the mean, NaN or infinity.
    """
    if hidden.shape[0] < 2:
        raise RepresentationError(
            "one token",
            f"a spectrum needs at least 2 tokens, got hidden states of shape {tuple(hidden.shape)}: "
            "centred on its own mean, a single row is zero. Leave such texts out",
        )
    rows = hidden.to(_arithmetic(hidden, dtype))
    scale = rows.detach().abs().amax()
    if not torch.isfinite(scale):
        raise RepresentationError("not finite", _describe_non_finite(hidden))
    # Scaled first, so that squares neither overflow nor vanish.
    rows = rows / torch.where(scale > 0, scale, 1.0)
    mean = rows.mean(dim=0)
    centred: Tensor = rows - mean
    lengths: Tensor = torch.linalg.vector_norm(centred, dim=1, keepdim=True)
    _refuse_rows_at_the_mean(rows.detach(), mean.detach(), lengths.detach().squeeze(1))
    return centred / lengths


def spectrum(
    hidden: Float[Tensor, "*batch tokens hidden"],
    mask: Bool[Tensor, "batch tokens"] | Int[Tensor, "batch tokens"] | None = None,
    *,
    dtype: torch.dtype | None = None,
) -> Spectrum:
    """Eigenvalues of Sigma = U^T U / N, where U are the centred unit rows of the hidden states.

    They are those of the smaller of U U^T / N (N x N) and U^T U / N (d x d): one eigenvalue-only
    decomposition of that matrix gives them exactly. Differentiable.

    Args:
        hidden: one text (tokens, d), or a padded batch (batch, tokens, d).
        mask: for a batch, True (or 1) where a token is real.
        dtype: the arithmetic, as in `unit_rows`.

    Raises:
        RepresentationError: as `unit_rows`; in a batch the message names the text.
    """
    if hidden.dim() == 2:
        return spectrum_of_unit_rows(unit_rows(hidden, dtype=dtype))
    spectra = [spectrum_of_unit_rows(rows) for rows in unit_rows_of_texts(hidden, mask, dtype=dtype)]
    return Spectrum(
        torch.nn.utils.rnn.pad_sequence([one.eigenvalues for one in spectra], batch_first=True),
        torch.stack([one.tokens for one in spectra]),
        hidden.shape[-1],
    )


def spectrum_of_unit_rows(rows: Float[Tensor, "tokens hidden"]) -> Spectrum:
    """The spectrum of one text from its centred unit rows."""
    tokens, hidden_size = rows.shape
    gram = (rows @ rows.T if tokens <= hidden_size else rows.T @ rows) / tokens
    # MPS has neither float64 nor this decomposition; the Gram matrix is small, so the CPU takes it.
    values = torch.linalg.eigvalsh(gram.cpu().double() if gram.device.type == "mps" else gram)
    values = values.to(gram.device, gram.dtype).flip(-1).clamp_min(0)
    return Spectrum(values / values.sum(), torch.tensor(tokens, device=values.device), hidden_size)


def unit_rows_of_texts(
    hidden: Float[Tensor, "batch tokens hidden"],
    mask: Bool[Tensor, "batch tokens"] | Int[Tensor, "batch tokens"] | None,
    *,
    dtype: torch.dtype | None = None,
) -> Iterator[Float[Tensor, "_tokens hidden"]]:
    """The centred unit rows of each text of a batch, one after the other, padding left out."""
    for index, states in enumerate(hidden):
        real = states if mask is None else states[mask[index].bool()]
        try:
            yield unit_rows(real, dtype=dtype)
        except RepresentationError as error:
            raise RepresentationError(error.fault, f"text {index} of the batch: {error}") from None


def _arithmetic(hidden: Tensor, dtype: torch.dtype | None) -> torch.dtype:
    if dtype is not None:
        return dtype
    return torch.float32 if hidden.device.type == "mps" else torch.float64


def _describe_non_finite(hidden: Tensor) -> str:
    bad = ~torch.isfinite(hidden)
    token, feature = (int(place) for place in bad.nonzero()[0])
    return (
        f"hidden states must be finite, got {int(bad.sum())} values that are not among "
        f"{hidden.numel()} of dtype {hidden.dtype}, the first {float(hidden[token, feature])} at token "
        f"{token}, feature {feature}: try float32 or bfloat16, or check the weights"
    )


def _refuse_rows_at_the_mean(rows: Tensor, mean: Tensor, lengths: Tensor) -> None:
    sizes = torch.linalg.vector_norm(rows, dim=1)
    rounding = _MEAN_ROUNDINGS * torch.finfo(rows.dtype).eps * (sizes + torch.linalg.vector_norm(mean))
    at_mean = lengths <= rounding
    if not at_mean.any():
        return
    if at_mean.all():
        raise RepresentationError(
            "equal rows",
            f"all {rows.shape[0]} rows are equal, so their covariance is zero and has no spectrum: "
            "a text of one repeated token, or a layer that returns a constant",
        )
    raise RepresentationError(
        "row at the mean",
        f"row {int(at_mean.nonzero()[0])} of {rows.shape[0]} equals the mean of all rows, so it has no "
        "direction to normalise (0/0): leave the text out, or the token",
    )
