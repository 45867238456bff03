"""Nuclear norms of the centred unit rows: the exact one, and the Matrix Nuclear-Norm."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from rankscope.metrics.arrays import ArrayLike, hidden_states
from rankscope.metrics.entropy import Mask, Numbers, spectrum_given_or_computed
from rankscope.metrics.spectrum import Spectrum, unit_rows_of_texts


def nuclear_norm(hidden: ArrayLike | Spectrum, mask: Mask = None) -> Numbers:
    """Exact nuclear norm ||U||_* = sum of singular values = sum sqrt(N lambda).

    Unit: none (U has unit rows). Range: sqrt(N) to sqrt(N min(N - 1, d)). Invariant to rotation.

    Raises:
        RepresentationError: one token, equal rows, a row at the mean, NaN or infinity; another shape, or another mask.

    Example:
        >>> hidden = [[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]]
        >>> round(float(nuclear_norm(hidden)), 4)  # 2 sqrt(2)
        2.8284
    """
    one = spectrum_given_or_computed(hidden, mask)
    values = one.positive
    roots = torch.where(values > 0, torch.where(values > 0, values, 1.0).sqrt(), 0.0)
    return one.tokens.to(values.dtype).sqrt() * roots.sum(dim=-1)


def matrix_nuclear_norm(hidden: ArrayLike, mask: Mask = None) -> Numbers:
    """Matrix Nuclear-Norm: the sum of the D largest column norms of U over N, D = min(N, d).

    Unit: none. An O(N d) stand-in for ||U||_* / N without a decomposition. It depends on the basis:
    a rotation of d changes it. N counts special tokens.

    Raises:
        RepresentationError: as `nuclear_norm`.

    Source: Li et al., arXiv 2410.10672, equation 7.

    Example:
        >>> hidden = [[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]]
        >>> round(float(matrix_nuclear_norm(hidden)), 4)  # 2 sqrt(2) / 4
        0.7071
    """
    states = hidden_states(hidden)
    norms = [matrix_nuclear_norm_of_unit_rows(rows) for rows in unit_rows_of_texts(states, mask)]
    return norms[0] if states.dim() == 2 else torch.stack(norms)


def matrix_nuclear_norm_of_unit_rows(rows: Float[Tensor, "tokens hidden"]) -> Float[Tensor, ""]:
    """The Matrix Nuclear-Norm of one text from its centred unit rows."""
    tokens, hidden_size = rows.shape
    columns: Tensor = torch.linalg.vector_norm(rows, dim=0)
    largest = columns if tokens >= hidden_size else columns.topk(tokens).values
    return largest.sum() / tokens
