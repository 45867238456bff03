"""Metrics of isotropic Gaussian noise of the same shape, as reference values.

Closed forms, for N tokens of d dimensions whose coordinates are independent and have equal variance. The
N centred rows span N - 1 dimensions, so noise has the spectrum of a Wishart matrix of m = min(N - 1, d)
by n = max(N - 1, d), divided by its trace.

Sources: Page 1993 (arXiv gr-qc/9305007; entropy), Zyczkowski & Sommers 2001 (arXiv quant-ph/0012101;
purity), Marchenko & Pastur 1967 (density), Johnstone 2001 (doi 10.1214/aos/1009210544; largest eigenvalue).
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from rankscope.errors import SettingsError

_MEAN_OF_TRACY_WIDOM = -1.2065335746  # of the distribution for real matrices
_POINTS = 4096  # of the midpoint rule for the nuclear norm, whose error is far below 1e-6


def noise_spectrum(tokens: int, hidden_size: int) -> Float[Tensor, " rank"]:
    """The eigenvalues of isotropic noise of shape (tokens, hidden size): min(N - 1, d) of them, descending, of sum 1.

    The i-th is the quantile at 1 - (i - 1/2) / m of the Marchenko-Pastur distribution of ratio m / n.

    Args:
        tokens: N, at least 3.
        hidden_size: d, at least 2.

    Raises:
        SettingsError: a shape for which noise has no spectrum.

    Example:
        >>> [round(float(value), 4) for value in noise_spectrum(5, 100)]
        [0.3158, 0.2673, 0.2279, 0.189]
    """
    check_shape(tokens, hidden_size)
    m, n = _sides(tokens, hidden_size)
    x, weight = _marchenko_pastur(m / n)  # x descends from its upper edge, so the cumulative weight is that above x
    above = (weight.cumsum(0) - weight / 2) / weight.sum()
    wanted = (torch.arange(m, dtype=torch.float64) + 0.5) / m
    right = torch.searchsorted(above, wanted).clamp(1, len(x) - 1)
    share = ((wanted - above[right - 1]) / (above[right] - above[right - 1])).clamp(0, 1)
    values = x[right - 1] + share * (x[right] - x[right - 1])
    return values / values.sum()


def check_shape(tokens: int, hidden_size: int) -> None:
    """Refuses a shape for which noise has no spectrum.

    Raises:
        SettingsError: fewer than 3 tokens or 2 dimensions.
    """
    if tokens < 3 or hidden_size < 2:
        raise SettingsError(f"noise needs at least 3 tokens of 2 dimensions, got {tokens} of {hidden_size}")


def _marchenko_pastur(ratio: float) -> tuple[Float[Tensor, " points"], Float[Tensor, " points"]]:
    """Points x of mean 1, descending, and their weights in the distribution of ratio c = m / n.

    With x = 1 + c + 2 sqrt(c) cos t the density's edges vanish from the integrand, sin^2 t / x.
    """
    angle = (torch.arange(_POINTS, dtype=torch.float64) + 0.5) * (math.pi / _POINTS)
    x = (1 + ratio + 2 * math.sqrt(ratio) * angle.cos()).clamp_min(1e-12)
    return x, 2 / _POINTS * angle.sin().square() / x


def _sides(tokens: int, hidden_size: int) -> tuple[int, int]:
    return min(tokens - 1, hidden_size), max(tokens - 1, hidden_size)


def matrix_entropy(tokens: int, hidden_size: int) -> float:
    """The mean entropy of a random reduced state for large m n, ln m - m / 2n."""
    m, n = _sides(tokens, hidden_size)
    return math.log(m) - m / (2 * n)


def effective_rank(tokens: int, hidden_size: int) -> float:
    """The exponential of the mean entropy."""
    return math.exp(matrix_entropy(tokens, hidden_size))


def normalized_matrix_entropy(tokens: int, hidden_size: int) -> float:
    """The mean entropy divided by ln d."""
    return matrix_entropy(tokens, hidden_size) / math.log(hidden_size)


def participation_ratio(tokens: int, hidden_size: int) -> float:
    """One over the mean purity, m n / (m + n)."""
    m, n = _sides(tokens, hidden_size)
    return m * n / (m + n)


def stable_rank(tokens: int, hidden_size: int) -> float:
    """The trace divided by the mean largest eigenvalue, m n / (mu - 1.21 sigma)."""
    m, n = _sides(tokens, hidden_size)
    roots = math.sqrt(n - 1) + math.sqrt(m)
    sigma: float = roots * (1 / math.sqrt(max(n - 1, 1)) + 1 / math.sqrt(m)) ** (1 / 3)
    return min(float(m), m * n / (roots**2 + _MEAN_OF_TRACY_WIDOM * sigma))


def nuclear_norm(tokens: int, hidden_size: int) -> float:
    """sqrt(N m) E[sqrt x], for x of mean 1 with the Marchenko-Pastur distribution of ratio m / n."""
    m, n = _sides(tokens, hidden_size)
    x, weight = _marchenko_pastur(m / n)
    return math.sqrt(tokens * m) * float((weight * x.sqrt()).sum())


def matrix_nuclear_norm(tokens: int, hidden_size: int) -> float:
    """About sqrt(N / d) for N <= d, and sqrt(d / N) beyond.

    For N < d, the N largest of the d columns exceed the mean by the expected excess of the upper part of a normal
    sample.
    """
    kept = min(tokens, hidden_size) / hidden_size
    # Column norms of noise are near normal with mean sqrt(N/d) and standard deviation sqrt(1 / 2d).
    excess = 0.0
    if kept < 1:
        quantile = math.sqrt(2) * float(torch.erfinv(torch.tensor(1 - 2 * kept, dtype=torch.float64)))
        excess = math.exp(-(quantile**2) / 2) / math.sqrt(2 * math.pi) / kept
    column = math.sqrt(tokens / hidden_size) + excess * math.sqrt(1 / (2 * hidden_size))
    return min(tokens, hidden_size) * column / tokens


def linear_cka(tokens: int, hidden_size: int) -> float:
    """(n d + 2) / (n (n + d + 1)) with n = N - 1, for two layers of independent noise; about d / (N + d).

    The centred Grams W of two such layers are Wishart and randomly rotated against each other, so the mean of
    CKA is E[tr W / ||W||_F]^2 / n; and E[||W||_F^2 / (tr W)^2] = (n + d + 1) / (n d + 2), exactly. By Jensen's
    inequality the value is never above the mean: 4 % below it for 3 tokens of 2 dimensions, and less than 0.5 % from
    20 tokens of 8 dimensions on.
    """
    n = tokens - 1
    return (n * hidden_size + 2) / (n * (n + hidden_size + 1))
