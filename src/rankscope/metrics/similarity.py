"""How similar the hidden states of one text are at two layers, usually adjacent ones.

Every function takes the states of the earlier layer and of the later one, (tokens, d), token by token.
"""

from __future__ import annotations

from typing import TypeVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from rankscope.errors import RepresentationError
from rankscope.metrics.arithmetic import arithmetic_for
from rankscope.metrics.arrays import ArrayLike, states_of_one_text
from rankscope.metrics.decomposition import Spectrum
from rankscope.metrics.entropy import Numbers, matrix_entropy
from rankscope.metrics.faults import Faults
from rankscope.metrics.rows import Texts, centre, centred_rows, directions, directions_where_defined

_Number = TypeVar("_Number", float, Tensor)


def matrix_entropy_change(before: ArrayLike | Spectrum, after: ArrayLike | Spectrum) -> Numbers:
    """Matrix entropy of the later layer minus that of the earlier one, H(after) - H(before).

    Unit: nats. Range: -ln min(N - 1, d) to ln min(N - 1, d). Negative if a block concentrates the spectrum.

    Args:
        before: hidden states of the earlier layer, (tokens, d); or their `Spectrum`, to reuse it.
        after: of the later layer, in the same form.

    Raises:
        RepresentationError: as for `matrix_entropy`, or different numbers of tokens.

    Example:
        >>> before = [[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]]
        >>> after = [[1.0, 0.0], [-1.0, 0.0], [2.0, 0.0], [-2.0, 0.0]]  # one direction is left
        >>> round(float(matrix_entropy_change(before, after)), 4)
        -0.6931
    """
    tokens = [
        one.tokens.tolist() if isinstance(one, Spectrum) else len(states_of_one_text(one)) for one in (before, after)
    ]
    _refuse_other_tokens(*tokens)
    return difference(matrix_entropy(before), matrix_entropy(after))


def difference(before: _Number, after: _Number) -> _Number:
    """The later value minus the earlier one."""
    return after - before


def linear_cka(before: ArrayLike, after: ArrayLike, *, computed_in: torch.dtype | None = None) -> Float[Tensor, ""]:
    """Linear centred kernel alignment, ||Y^T X||_F^2 / (||X^T X||_F ||Y^T Y||_F), columns of X and Y centred.

    1 if the two layers have the same states up to rotation, scale and offset. Unit: none. Range: 0 to 1.
    Computed in float64 from tokens x tokens or d x d matrices, whichever are cheaper. Differentiable.
    With fewer tokens than dimensions, even unrelated states have a CKA near 1: noise has about
    d / (N + d).

    Args:
        before: X, hidden states of one layer, (tokens, d1); a tensor, an array or nested lists.
        after: Y, of the other layer, (tokens, d2).
        computed_in: the dtype of the forward pass, as in `unit_rows`.

    Raises:
        RepresentationError: one token, equal rows, NaN or infinity; wrong shape, or different numbers of tokens.

    Source: Kornblith et al. 2019, arXiv 1905.00414, equation 4 for linear kernels.

    Example:
        >>> before = [[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]]
        >>> after = [[0.0, 3.0], [0.0, -3.0], [3.0, 0.0], [-3.0, 0.0]]  # turned, and longer
        >>> round(float(linear_cka(before, after)), 4)
        1.0
        >>> round(float(linear_cka(before, [[1.0], [-1.0], [0.0], [0.0]])), 4)  # one direction of two
        0.7071
    """
    x, y = (centred_rows(states, computed_in=computed_in) for states in (before, after))
    _refuse_other_tokens(len(x), len(y))
    return _cka_of_centred(x, y)


def linear_cka_of_texts(before: Texts, after: Texts) -> tuple[Float[Tensor, " batch"], Bool[Tensor, " batch"]]:
    """`linear_cka` of several texts, and which of them have one; nothing is read from the device.

    Args:
        before: hidden states of the earlier layer.
        after: of the later layer; the same numbers of tokens.
    """
    both, usable = [], []
    for texts in (before, after):
        centred = centre(texts, arithmetic_for(texts.states, None))
        usable.append(~Faults.of(texts, centred).without_covariance)
        rows = centred.rows if texts.real is None else torch.where(texts.real[..., None], centred.rows, 0.0)
        both.append(rows)
    return _cka_of_centred(*both), usable[0] & usable[1]


def _cka_of_centred(x: Float[Tensor, "*batch tokens d1"], y: Float[Tensor, "*batch tokens d2"]) -> Tensor:
    tokens, sizes = x.shape[-2], (x.shape[-1], y.shape[-1])
    if tokens * sum(sizes) <= sizes[0] ** 2 + sizes[1] ** 2 + sizes[0] * sizes[1]:
        one, other = x @ x.mT, y @ y.mT
        shared = (one * other).sum(dim=(-2, -1))
    else:
        one, other = x.mT @ x, y.mT @ y
        shared = (y.mT @ x).square().sum(dim=(-2, -1))
    found: Tensor = shared / (torch.linalg.matrix_norm(one) * torch.linalg.matrix_norm(other))
    return found.clamp_max(1.0)  # only rounding can exceed 1


def mean_cosine_similarity(before: ArrayLike, after: ArrayLike) -> Float[Tensor, ""]:
    """Mean over tokens of the cosine between a token's states at the two layers, not centred.

    1 if a block leaves every direction unchanged; 1 minus it is block influence. Unit: none. Range: -1 to 1.
    Computed in float64. Differentiable.

    Args:
        before: hidden states of the earlier layer, (tokens, d); a tensor, an array or nested lists.
        after: of the later layer, of the same shape.

    Raises:
        RepresentationError: a state of zeros, NaN or infinity; no tokens, wrong shape, or different shapes.

    Source: Men et al. 2024 (ShortGPT), arXiv 2403.03853, equation 1.

    Example:
        >>> float(mean_cosine_similarity([[1.0, 0.0], [1.0, 0.0]], [[0.0, 2.0], [5.0, 0.0]]))
        0.5
    """
    x, y = (_directions(states) for states in (before, after))
    if x.shape != y.shape:
        raise RepresentationError(
            "wrong shape", f"states of two layers must have the same shape, got {tuple(x.shape)} and {tuple(y.shape)}"
        )
    return (x * y).sum(dim=1).mean()


def mean_cosine_similarity_of_texts(
    before: Texts, after: Texts
) -> tuple[Float[Tensor, " batch"], Bool[Tensor, " batch"]]:
    """`mean_cosine_similarity` of several texts, and which of them have one; nothing is read from the device.

    Args:
        before: hidden states of the earlier layer.
        after: of the later layer, of the same shape.
    """
    if before.states.shape != after.states.shape:  # then it has a value for none
        return torch.zeros_like(before.counts), torch.zeros_like(before.counts, dtype=torch.bool)
    (x, of_x), (y, of_y) = (directions_where_defined(texts.states) for texts in (before, after))
    cosines, usable = (x * y).sum(dim=2), of_x & of_y
    if before.real is not None:
        cosines, usable = torch.where(before.real, cosines, 0.0), usable | ~before.real
    return cosines.sum(dim=1) / before.counts.to(cosines.dtype), usable.all(dim=1)


def _directions(states: ArrayLike) -> Tensor:
    hidden = states_of_one_text(states)
    if len(hidden) == 0:
        raise RepresentationError("wrong shape", "a mean over tokens needs at least one token, got none")
    return directions(hidden)


def _refuse_other_tokens(before: int | list[int], after: int | list[int]) -> None:
    if before != after:
        raise RepresentationError(
            "wrong shape", f"two layers of a text must have the same tokens, got {before} and {after}"
        )
