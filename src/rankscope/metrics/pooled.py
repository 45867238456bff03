"""Metrics of a data set's pooled vectors: one vector per text, (texts, d).

They describe how a network spreads texts, whereas the other metrics describe how it spreads the tokens of one text.
`rankme` and `alpha_req` also take `TokenMoments` of the vectors, which add up over parts of a data set and over
processes. `effective_rank` and `stable_rank` take the same matrix, with texts instead of tokens as rows.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from rankscope.errors import RepresentationError, SettingsError
from rankscope.metrics.arithmetic import arithmetic_for
from rankscope.metrics.arrays import ArrayLike, real_tensor
from rankscope.metrics.eigenvalues import descending_eigenvalues, smaller_gram
from rankscope.metrics.faults import describe_non_finite
from rankscope.metrics.modality_integration import TokenMoments
from rankscope.metrics.rows import centred_rows, directions

RANKME_EPSILON = 1e-7
"""Added to each share in the RankMe paper, for float32."""

FIT_RANKS = (11, 100)
"""First and last eigenvalue, counted from 1, of the power-law fit by the authors of alpha-ReQ."""

_ROWS_AT_ONCE = 1024


def rankme(vectors: ArrayLike | TokenMoments, *, epsilon: float | int = RANKME_EPSILON) -> Float[Tensor, ""]:
    """RankMe: the exponential of the entropy of the singular values' shares.

    `exp(-sum p ln p)` with `p_k = sigma_k / sum sigma + epsilon` over the min(texts, d) singular values of the matrix
    of vectors, which is neither centred nor normalised. Unit: dimensions. Range: 1 to min(texts, d), and a little more:
    the shares sum to 1 + min(texts, d) epsilon. In float64, from the eigenvalues of the smaller Gram matrix:
    singular values below 1e-8 of the largest are rounding errors.

    Args:
        vectors: one per text, (texts, d); or their `TokenMoments`.
        epsilon: added to each share.

    Raises:
        RepresentationError: fewer than two texts, only zeros, NaN or infinity, or wrong shape.
        SettingsError: a negative epsilon.

    Source: Garrido et al. 2023, arXiv 2210.02885, equation 1.

    Example:
        >>> vectors = [[3.0, 0.0], [0.0, 4.0], [0.0, 0.0]]  # singular values 3 and 4
        >>> round(float(rankme(vectors)), 4)
        1.9796
    """
    if not epsilon >= 0:
        raise SettingsError(f"RankMe's epsilon must be at least 0, got {epsilon}")
    if isinstance(vectors, TokenMoments):
        _refuse_degenerate_moments(vectors)
        texts, hidden_size = int(vectors.tokens), vectors.outer.shape[0]
        # d x d for any number of texts, so all beyond the first min(texts, d) are rounding errors of zero.
        squares = descending_eigenvalues(vectors.outer)[: min(texts, hidden_size)]
    else:
        squares = descending_eigenvalues(smaller_gram(_scaled(_matrix(vectors))))
    values = squares.sqrt()
    shares = values / values.sum() + epsilon
    entropy: Tensor = torch.special.entr(shares).sum()
    return entropy.exp()


def alpha_req(vectors: ArrayLike | TokenMoments, *, ranks: tuple[int, int] = FIT_RANKS) -> Float[Tensor, ""]:
    """Alpha-ReQ: how fast the eigenvalues of the covariance decay, as the exponent of a power law.

    Minus the slope of `ln lambda_i` against `ln i` over the given ranks i, by least squares with weights `1 / i`, so
    that each octave has about the same weight; lambda are the eigenvalues of the covariance of the vectors, centred, in
    descending order. Unit: none. Range: from 0, for equal eigenvalues. The authors found the best image representations
    around 1.

    Args:
        vectors: one per text, (texts, d); or their `TokenMoments`.
        ranks: the first and the last eigenvalue of the fit, counted from 1. The published range needs at least 101
            texts of 100 dimensions; with fewer, choose another one, and compare only values of the same range.

    Raises:
        RepresentationError: fewer than two texts, equal vectors, fewer eigenvalues above rounding than the last rank,
            NaN or infinity, or wrong shape.
        SettingsError: ranks that are not two integers from 1, the second larger.

    Source: Agrawal et al. 2022 (NeurIPS); range and weights as the authors released them (reptrix), after
    Stringer et al. 2019.

    Example:
        >>> import torch
        >>> lengths = torch.arange(1.0, 6.0).double() ** -0.75  # eigenvalues fall as i ** -1.5
        >>> vectors = torch.cat([lengths.diag(), -lengths.diag()])
        >>> round(float(alpha_req(vectors, ranks=(1, 5))), 4)
        1.5
    """
    first, last = ranks
    if not 1 <= first < last:
        raise SettingsError(f"the ranks of a fit must be two integers from 1, the second larger, got {ranks}")
    if isinstance(vectors, TokenMoments):
        _refuse_degenerate_moments(vectors)
        values = descending_eigenvalues(vectors.mean_and_covariance()[1])
        size = vectors.outer.trace() / vectors.tokens  # the mean was subtracted from this; its rounding error remains
    else:
        rows = centred_rows(_matrix(vectors))
        values = descending_eigenvalues(smaller_gram(rows) / (len(rows) - 1))
        size = values[0]
    found = int((values > torch.finfo(values.dtype).eps * len(values) * size).sum())
    if found == 0:
        raise RepresentationError("equal rows", "all vectors are equal up to rounding, so their covariance is zero")
    if found < last:
        raise RepresentationError(
            "too few eigenvalues",
            f"alpha-ReQ fits eigenvalues {first} to {last}, but the covariance has only {found} above rounding: use "
            f"more than {last} texts of at least {last} dimensions, or a range that ends at {found} or before",
        )
    return _power_law_exponent(values, first, last)


def uniformity(vectors: ArrayLike, *, t: float | int = 2.0) -> Float[Tensor, ""]:
    """Uniformity: the logarithm of the mean Gaussian potential of all pairs of vectors of unit length.

    `ln mean exp(-t ||x - y||^2)` over pairs of two texts, with vectors divided by their length and not centred. Unit:
    none. Range: -4t to 0; lower means spread more evenly over the sphere, 0 that all have the same direction.
    Directions spread evenly in many dimensions have about -2t. It is a function of pairs, so parts of a data set do not
    add up.

    Args:
        vectors: one per text, (texts, d).
        t: how fast the potential decays with squared distance.

    Raises:
        RepresentationError: fewer than two texts, a vector of zeros, NaN or infinity, or wrong shape.
        SettingsError: a t that is not positive.

    Source: Wang & Isola 2020, arXiv 2005.10242.

    Example:
        >>> uniformity([[1.0, 0.0], [0.0, 5.0]])  # squared distance 2
        tensor(-4., dtype=torch.float64)
    """
    if not t > 0:
        raise SettingsError(f"uniformity's t must be above 0, got {t}")
    rows = directions(_matrix(vectors), row="text")
    # Each block against itself and the following ones: every pair once, without a matrix of all pairs in memory.
    sums = [
        torch.exp(2 * t * (rows[start : start + _ROWS_AT_ONCE] @ rows[start:].T - 1)).triu(diagonal=1).sum()
        for start in range(0, len(rows), _ROWS_AT_ONCE)
    ]
    pairs = len(rows) * (len(rows) - 1) / 2
    return (torch.stack(sums).sum() / pairs).log()


def directions_needed(
    vectors: ArrayLike | TokenMoments, shares: Sequence[float] = (0.9, 0.95, 0.99)
) -> Int[Tensor, " shares"]:
    """The number of directions that hold given shares of the variance of centred vectors, as in a PCA.

    The smallest k for which the k largest eigenvalues of the covariance sum to the given share of the total. Unit:
    dimensions. Range: 1 to min(vectors - 1, d). With few vectors relative to d, it is too small.

    Args:
        vectors: one for each text or token, (vectors, d); or their `TokenMoments`.
        shares: each above 0 and at most 1.

    Raises:
        RepresentationError: fewer than two vectors, equal vectors, NaN or infinity, or wrong shape.
        SettingsError: a share outside its range.

    Example:
        >>> vectors = [[2.0, 0.0], [-2.0, 0.0], [0.0, 1.0], [0.0, -1.0]]  # variances as 4 to 1
        >>> directions_needed(vectors, (0.8, 0.9)).tolist()
        [1, 2]
    """
    if not all(0 < share <= 1 for share in shares):
        raise SettingsError(f"a share of the variance is above 0 and at most 1, got {tuple(shares)}")
    if isinstance(vectors, TokenMoments):
        _refuse_degenerate_moments(vectors)
        values = descending_eigenvalues(vectors.mean_and_covariance()[1])
        values = values[: max(1, int(vectors.tokens) - 1)]  # the others are rounding errors of zero
    else:
        values = descending_eigenvalues(smaller_gram(centred_rows(_matrix(vectors))))
    if not values[0] > 0:
        raise RepresentationError("equal rows", "all vectors are equal up to rounding, so their covariance is zero")
    parts = values.clamp_min(0).cumsum(0) / values.clamp_min(0).sum()
    wanted = torch.tensor(list(shares), dtype=parts.dtype, device=parts.device)
    slack = torch.finfo(parts.dtype).eps * len(parts)  # rounding must not move a share that is met exactly
    return (parts[None, :] < wanted[:, None] - slack).sum(dim=1) + 1


def _power_law_exponent(values: Float[Tensor, " k"], first: int, last: int) -> Float[Tensor, ""]:
    ranks = torch.arange(first, last + 1, device=values.device, dtype=values.dtype)
    weights = 1 / ranks
    weights = weights / weights.sum()
    x, y = ranks.log(), values[first - 1 : last].log()
    x = x - (weights * x).sum()
    return -(weights * x * y).sum() / (weights * x.square()).sum()


def _matrix(vectors: ArrayLike) -> Tensor:
    matrix = real_tensor(vectors, "pooled vectors")
    shape = tuple(matrix.shape)
    if len(shape) != 2 or shape[1] == 0:
        raise RepresentationError("wrong shape", f"pooled vectors must have shape (texts, d), got {shape}")
    if shape[0] < 2:
        raise _one_text(shape[0])
    if not torch.isfinite(matrix).all():
        raise RepresentationError("not finite", describe_non_finite(matrix, row="text"))
    return matrix


def _scaled(matrix: Tensor) -> Tensor:
    """Converts to float64 if available, divided by the largest number, so that squares neither overflow nor vanish."""
    rows = matrix.to(arithmetic_for(matrix, None))
    scale = rows.detach().abs().amax()
    if scale == 0:
        raise _only_zeros()
    return rows / scale


def _refuse_degenerate_moments(moments: TokenMoments) -> None:
    if moments.tokens < 2:
        raise _one_text(int(moments.tokens))
    if not (torch.isfinite(moments.outer).all() and torch.isfinite(moments.total).all()):
        raise RepresentationError("not finite", "pooled vectors must be finite, got NaN or infinity in their moments")
    if moments.outer.trace() == 0:
        raise _only_zeros()


def _one_text(texts: int) -> RepresentationError:
    return RepresentationError("one text", f"metrics of pooled vectors need at least 2 texts, got {texts}")


def _only_zeros() -> RepresentationError:
    return RepresentationError("only zeros", "all pooled vectors are zero: check the layer, or the pooling")
