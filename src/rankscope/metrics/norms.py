"""Nuclear norms of the centred unit rows: the exact norm, and the Matrix Nuclear-Norm."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from rankscope.metrics.arrays import ArrayLike, hidden_states
from rankscope.metrics.decomposition import Spectrum
from rankscope.metrics.devices import on_device
from rankscope.metrics.entropy import Mask, Numbers, spectrum_given_or_computed
from rankscope.metrics.representations import representations_of
from rankscope.metrics.rows import UnitRows


def nuclear_norm(hidden: ArrayLike | Spectrum, mask: Mask = None) -> Numbers:
    """Exact nuclear norm ||U||_* = sum of singular values = sum sqrt(N lambda).

    Unit: none (U has unit rows). Range: sqrt(N) to sqrt(N min(N - 1, d)). Invariant to rotation.

    Raises:
        RepresentationError: one token, equal rows, a row at the mean, NaN or infinity; wrong shape, or wrong mask.

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
    """Matrix Nuclear-Norm: the sum of the D largest column norms of U, divided by N; D = min(N, d).

    Unit: none. An O(N d) approximation of ||U||_* / N without a decomposition. It depends on the basis:
    a rotation of d changes it. N counts special tokens.

    Raises:
        RepresentationError: as for `nuclear_norm`.

    Source: Li et al., arXiv 2410.10672, equation 7.

    Example:
        >>> hidden = [[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]]
        >>> round(float(matrix_nuclear_norm(hidden)), 4)  # 2 sqrt(2) / 4
        0.7071
    """
    found = representations_of(hidden, mask)
    found.refuse()
    numbers = found.of_rows(matrix_nuclear_norm_of_unit_rows)
    return numbers if hidden_states(hidden).dim() == 3 else numbers[0]


def matrix_nuclear_norm_of_unit_rows(rows: UnitRows) -> Float[Tensor, " texts"]:
    """The Matrix Nuclear-Norm of each text from its centred unit rows."""
    columns: Tensor = torch.linalg.vector_norm(rows.rows, dim=1)
    return sum_of_largest(columns, [min(tokens, rows.hidden_size) for tokens in rows.tokens]) / rows.counts


def sum_of_largest(numbers: Float[Tensor, "texts columns"], counts: Sequence[int]) -> Float[Tensor, " texts"]:
    """The sum of the largest `counts` numbers of each row."""
    most = max(counts)
    largest = numbers if min(counts) == numbers.shape[1] else numbers.topk(most, dim=1).values
    if min(counts) < most:
        places = torch.arange(most, device=numbers.device)
        largest = largest * (places < on_device(counts, numbers.device)[:, None])
    return largest.sum(dim=1)
