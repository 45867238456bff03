"""Modality Integration Rate: how far apart vision and text tokens are in the layers of a language model.

Everything is a function of three sums over tokens, so layers can be processed token by token: `TokenMoments` of
parts add up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from rankscope.errors import RepresentationError, SettingsError
from rankscope.metrics.arrays import ArrayLike, states_of_one_text
from rankscope.metrics.faults import describe_non_finite

OUTLIER_SIGMAS = 3.0


@dataclass(frozen=True)
class TokenMoments:
    """Count, sum and sum of outer products of tokens, in float64; `+` combines two sets.

    Attributes:
        tokens: their number.
        total: sum of the tokens' vectors.
        outer: sum of their outer products.
    """

    tokens: Int[Tensor, ""]
    total: Float[Tensor, " hidden"]
    outer: Float[Tensor, "hidden hidden"]

    @classmethod
    def of(cls, hidden: Float[Tensor, "tokens hidden"]) -> TokenMoments:
        """The moments of zero or more tokens."""
        rows = hidden.double()
        return cls(torch.tensor(rows.shape[0], device=rows.device), rows.sum(dim=0), rows.T @ rows)

    def __add__(self, other: TokenMoments) -> TokenMoments:
        return TokenMoments(self.tokens + other.tokens, self.total + other.total, self.outer + other.outer)

    def scaled(self, factor: float | Tensor) -> TokenMoments:
        """The moments of the same tokens, each multiplied by a factor."""
        return TokenMoments(self.tokens, self.total * factor, self.outer * factor**2)

    def mean_and_covariance(self) -> tuple[Float[Tensor, " hidden"], Float[Tensor, "hidden hidden"]]:
        """Mean, and unbiased covariance.

        Raises:
            RepresentationError: fewer than two tokens.
        """
        if self.tokens < 2:
            raise RepresentationError(
                "one token", f"a covariance of tokens needs at least two, got {int(self.tokens)}: use more items"
            )
        mean = self.total / self.tokens
        covariance = (self.outer - self.tokens * torch.outer(mean, mean)) / (self.tokens - 1)
        return mean, covariance


def frechet_distance(one: TokenMoments, other: TokenMoments) -> Float[Tensor, ""]:
    """Frechet distance of the normal distributions with these moments.

    `||m1 - m2||^2 + tr C1 + tr C2 - 2 tr (C1^1/2 C2 C1^1/2)^1/2`; the last term is the sum of the singular values
    of `C1^1/2 C2^1/2`. Unit: squared length. Range: from 0, for equal moments.

    Raises:
        RepresentationError: fewer than two tokens.

    Source: Dowson & Landau 1982.

    Example:
        >>> import torch
        >>> tokens = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
        >>> one, other = TokenMoments.of(tokens), TokenMoments.of(tokens + torch.tensor([3.0, 4.0]))
        >>> round(float(frechet_distance(one, other)), 4)
        25.0
    """
    (mean, covariance), (other_mean, other_covariance) = one.mean_and_covariance(), other.mean_and_covariance()
    product = _square_root(covariance) @ _square_root(other_covariance)
    shared: Tensor = torch.linalg.svdvals(product).sum()
    apart = (mean - other_mean).square().sum() + covariance.trace() + other_covariance.trace() - 2 * shared
    return apart.clamp_min(0)


def outlier_range(norms: Float[Tensor, " tokens"]) -> tuple[float, float]:
    """The range of lengths of tokens that are not outliers: the median plus or minus three standard deviations.

    Example:
        >>> import torch
        >>> outlier_range(torch.tensor([1.0, 2.0, 3.0]))
        (-1.0, 5.0)
    """
    middle = norms.double().median()
    reach = OUTLIER_SIGMAS * norms.double().std()
    return float(middle - reach), float(middle + reach)


def without_outliers(
    hidden: Float[Tensor, "tokens hidden"], lengths: tuple[float, float]
) -> Float[Tensor, "kept hidden"]:
    """The tokens whose length is within a range.

    Example:
        >>> import torch
        >>> without_outliers(torch.tensor([[1.0, 0.0], [0.0, 50.0]]), (0.0, 10.0))
        tensor([[1., 0.]])
    """
    norms = torch.linalg.vector_norm(hidden.double(), dim=-1)
    return hidden[(norms >= lengths[0]) & (norms <= lengths[1])]


def integration_of_moments(
    vision: Sequence[TokenMoments], text: Sequence[TokenMoments], text_lengths: Sequence[float]
) -> Float[Tensor, ""]:
    """The Modality Integration Rate from moments without outliers, and the mean length of all text tokens, by layer.

    Example:
        >>> import torch
        >>> tokens = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
        >>> seen, read = TokenMoments.of(tokens + 10), TokenMoments.of(tokens)
        >>> round(float(integration_of_moments([seen], [read], [1.0])), 4)  # log10 of 10^2 + 10^2
        2.301
    """
    if not all(length > 0 for length in text_lengths):
        raise RepresentationError("no length", "all text tokens of a layer are zero, so nothing can be scaled by them")
    distances = [
        frechet_distance(seen.scaled(1 / length), read.scaled(1 / length))
        for seen, read, length in zip(vision, text, text_lengths, strict=True)
    ]
    total: Tensor = torch.stack(distances).sum()
    if not total > 0:
        raise RepresentationError(
            "equal modalities", "vision and text tokens have the same moments in all layers, so the logarithm is -inf"
        )
    return total.log10()


def modality_integration_rate(vision: Sequence[ArrayLike], text: Sequence[ArrayLike]) -> Float[Tensor, ""]:
    """Modality Integration Rate, log10 of the sum over layers of the distance between vision and text tokens.

    At each layer all tokens are divided by the mean length of the text tokens (text-centric normalisation, which
    makes layers comparable), tokens whose length is more than three standard deviations from the median of their
    modality are removed, and the Frechet distance is computed. Unit: none; lower means closer. Range: any.

    Args:
        vision: for each layer the vision tokens of all items, (tokens, d).
        text: for each layer the text tokens of all items, (tokens, d).

    Raises:
        RepresentationError: fewer than two tokens, NaN or infinity, wrong shape, or equal moments everywhere.
        SettingsError: no layers, or different layers of the two modalities.

    Source: Huang et al. 2024, arXiv 2410.07167. The base of the logarithm is that of their published script. That
    script replaces an outlier with the median of each coordinate; the paper's text and rankscope remove it.

    Example:
        >>> text = [[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]]
        >>> vision = [[11.0, 10.0], [9.0, 10.0], [10.0, 11.0], [10.0, 9.0]]
        >>> round(float(modality_integration_rate([vision], [text])), 4)  # log10 of 10^2 + 10^2
        2.301
    """
    moments: list[list[TokenMoments]] = [[], []]
    lengths = []
    if len(vision) != len(text) or len(vision) == 0:
        raise SettingsError(
            f"vision and text tokens must be given for the same layers, got {len(vision)} and {len(text)} layers"
        )
    for layer in zip(vision, text, strict=True):
        seen, read = (_tokens_of_layer(tokens) for tokens in layer)
        if seen.shape[1] != read.shape[1]:
            raise RepresentationError(
                "wrong shape",
                f"vision and text tokens of a layer must have the same hidden size, got {seen.shape[1]} and "
                f"{read.shape[1]}",
            )
        lengths.append(float(torch.linalg.vector_norm(read.double(), dim=-1).mean()))
        for place, hidden in enumerate((seen, read)):
            norms = torch.linalg.vector_norm(hidden.double(), dim=-1)
            moments[place].append(TokenMoments.of(without_outliers(hidden, outlier_range(norms))))
    return integration_of_moments(moments[0], moments[1], lengths)


def _tokens_of_layer(tokens: ArrayLike) -> Tensor:
    states = states_of_one_text(tokens)
    if states.shape[0] < 2:
        raise RepresentationError("one token", f"a covariance of tokens needs at least two, got {states.shape[0]}")
    if not torch.isfinite(states).all():
        raise RepresentationError("not finite", describe_non_finite(states))
    return states


def _square_root(covariance: Float[Tensor, "hidden hidden"]) -> Float[Tensor, "hidden hidden"]:
    values, vectors = torch.linalg.eigh(covariance)
    root: Tensor = (vectors * values.clamp_min(0).sqrt()) @ vectors.T
    return root
