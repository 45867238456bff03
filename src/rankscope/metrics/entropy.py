"""Entropies of a spectrum, and the numbers of dimensions derived from it.

Each function takes hidden states, (tokens, d) or (batch, tokens, d), as tensors, arrays or nested lists, with
`mask=` of the same shape without d; or a `Spectrum`, which can be computed once for all functions. Each returns one
number per text.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from rankscope.errors import RepresentationError, SettingsError
from rankscope.metrics.arrays import ArrayLike
from rankscope.metrics.decomposition import Spectrum
from rankscope.metrics.spectrum import spectrum

Mask = ArrayLike | None
Numbers = Float[Tensor, "*batch"]


def matrix_entropy(hidden: ArrayLike | Spectrum, mask: Mask = None) -> Numbers:
    """Von Neumann entropy of the normalised covariance, H = -sum lambda ln lambda.

    Unit: nats. Range: 0 to ln min(N - 1, d). Differentiable.

    Raises:
        RepresentationError: one token, equal rows, a row at the mean, NaN or infinity; wrong shape, or wrong mask.

    Source: Roy & Vetterli 2007 (EUSIPCO); arXiv 2401.17139.

    Example:
        >>> hidden = [[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]]  # eigenvalues 1/2 and 1/2
        >>> round(float(matrix_entropy(hidden)), 4)
        0.6931
    """
    values = spectrum_given_or_computed(hidden, mask).positive
    # lambda = 0 is replaced with 1, whose logarithm is 0, so that neither the value nor the gradient is 0 x inf.
    return -(values * torch.where(values > 0, values, 1.0).log()).sum(dim=-1)


def normalized_matrix_entropy(hidden: ArrayLike | Spectrum, mask: Mask = None) -> Numbers:
    """Matrix entropy divided by its maximum for the hidden size, H / ln d.

    Unit: none. Range: 0 to 1; below ln(N - 1) / ln d for texts shorter than d. This is the matrix entropy
    of arXiv 2410.10672.

    Raises:
        RepresentationError: as for `matrix_entropy`.
        SettingsError: a hidden size of 1, for which ln d = 0.

    Example:
        >>> hidden = [[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]]
        >>> round(float(normalized_matrix_entropy(hidden)), 4)
        1.0
    """
    one = spectrum_given_or_computed(hidden, mask)
    if one.hidden_size < 2:
        raise SettingsError("H / ln d needs a hidden size d of at least 2, got 1: use matrix_entropy")
    return matrix_entropy(one) / math.log(one.hidden_size)


def effective_rank(hidden: ArrayLike | Spectrum, mask: Mask = None) -> Numbers:
    """Effective rank, exp H: the number of equal eigenvalues that would have this entropy.

    Unit: dimensions. Range: 1 to min(N - 1, d). Differentiable.

    Raises:
        RepresentationError: as for `matrix_entropy`.

    Source: Roy & Vetterli 2007 (EUSIPCO).

    Example:
        >>> hidden = [[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]]
        >>> round(float(effective_rank(hidden)), 4)
        2.0
    """
    return matrix_entropy(hidden, mask).exp()


def renyi_entropy(hidden: ArrayLike | Spectrum, alpha: float | int, mask: Mask = None) -> Numbers:
    """Renyi entropy of order alpha, ln(sum lambda^alpha) / (1 - alpha).

    Limits: alpha -> 0 the logarithm of the rank, 1 the matrix entropy, 2 the logarithm of the
    participation ratio, infinity the logarithm of the stable rank. Unit: nats. Decreases with alpha.

    Raises:
        RepresentationError: as for `matrix_entropy`.
        SettingsError: a negative alpha, or NaN.

    Example:
        >>> hidden = [[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]]
        >>> round(float(renyi_entropy(hidden, 2)), 4)
        0.6931
    """
    if not alpha >= 0:
        raise SettingsError(f"the order of a Renyi entropy must be at least 0, got alpha={alpha}")
    one = spectrum_given_or_computed(hidden, mask)
    if alpha == 1:
        return matrix_entropy(one)
    if math.isinf(alpha):
        return stable_rank(one).log()
    values = one.positive
    powers = torch.where(values > 0, torch.where(values > 0, values, 1.0) ** alpha, 0.0)
    return powers.sum(dim=-1).log() / (1 - alpha)


def stable_rank(hidden: ArrayLike | Spectrum, mask: Mask = None) -> Numbers:
    """Stable rank, ||U||_F^2 / ||U||_2^2 = 1 / lambda_max.

    Unit: dimensions. Range: 1 to min(N - 1, d); never above the effective rank.

    Raises:
        RepresentationError: as for `matrix_entropy`.

    Example:
        >>> hidden = [[1.0, 0.0], [-1.0, 0.0]] * 3 + [[0.0, 1.0], [0.0, -1.0]]  # eigenvalues 3/4 and 1/4
        >>> round(float(stable_rank(hidden)), 4)
        1.3333
    """
    return 1 / spectrum_given_or_computed(hidden, mask).eigenvalues[..., 0]


def participation_ratio(hidden: ArrayLike | Spectrum, mask: Mask = None) -> Numbers:
    """Participation ratio, 1 / sum lambda^2.

    Unit: dimensions. Range: 1 to min(N - 1, d); between the stable rank and the effective rank.

    Raises:
        RepresentationError: as for `matrix_entropy`.

    Example:
        >>> hidden = [[1.0, 0.0], [-1.0, 0.0]] * 3 + [[0.0, 1.0], [0.0, -1.0]]  # eigenvalues 3/4 and 1/4
        >>> round(float(participation_ratio(hidden)), 4)
        1.6
    """
    return 1 / spectrum_given_or_computed(hidden, mask).eigenvalues.square().sum(dim=-1)


def spectrum_given_or_computed(hidden: ArrayLike | Spectrum, mask: Mask) -> Spectrum:
    """The given spectrum, or that of the given hidden states."""
    if not isinstance(hidden, Spectrum):
        return spectrum(hidden, mask)
    if mask is not None:
        raise RepresentationError("wrong mask", "a Spectrum has no tokens to mask: pass the mask to spectrum()")
    return hidden
