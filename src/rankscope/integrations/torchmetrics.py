"""Metrics as torchmetrics classes: updated batch by batch, reset per epoch, summed over processes.

They hold sums and call the functions of `rankscope.metrics`, whose docstrings define the numbers. Importing this module
requires the extra `torchmetrics`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from rankscope.errors import MissingExtraError, RepresentationError
from rankscope.metrics import (
    TokenMoments,
    aggregate_effective_rank,
    alpha_req,
    matrix_entropy,
    matrix_nuclear_norm,
    rankme,
)
from rankscope.metrics.pooled import FIT_RANKS, RANKME_EPSILON

try:
    from torchmetrics import Metric
except ImportError as error:
    raise MissingExtraError("torchmetrics", "torchmetrics") from error


class MatrixEntropy(Metric):
    """Matrix entropy in nats, the mean over texts.

    Args:
        settings: those of `torchmetrics.Metric`.
    """

    is_differentiable = False
    higher_is_better = None
    full_state_update = False
    total: Tensor
    texts: Tensor

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        _add_states_of_a_mean(self)

    def update(self, hidden: Tensor, mask: Tensor | None = None) -> None:
        """Adds texts.

        Args:
            hidden: hidden states, (batch, tokens, d), or of one text, (tokens, d).
            mask: True or 1 for real tokens, (batch, tokens).

        Raises:
            RepresentationError: as `rankscope.matrix_entropy`; none of the batch is then added.
        """
        _add(self, matrix_entropy(hidden, mask))

    def compute(self) -> Tensor:
        """The mean over all texts since the last reset.

        Raises:
            RepresentationError: no texts were added.
        """
        return _mean(self)


class EffectiveRank(Metric):
    """Effective rank of a data set, exp of the mean matrix entropy over texts.

    Args:
        settings: those of `torchmetrics.Metric`.
    """

    is_differentiable = False
    higher_is_better = None
    full_state_update = False
    total: Tensor
    texts: Tensor

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        _add_states_of_a_mean(self)

    def update(self, hidden: Tensor, mask: Tensor | None = None) -> None:
        """Adds texts, as `MatrixEntropy.update` does."""
        _add(self, matrix_entropy(hidden, mask))

    def compute(self) -> Tensor:
        """The effective rank of all texts since the last reset.

        Raises:
            RepresentationError: no texts were added.
        """
        return aggregate_effective_rank(_mean(self).unsqueeze(0))


class MatrixNuclearNorm(Metric):
    """Matrix Nuclear-Norm, the mean over texts.

    Args:
        settings: those of `torchmetrics.Metric`.
    """

    is_differentiable = False
    higher_is_better = None
    full_state_update = False
    total: Tensor
    texts: Tensor

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        _add_states_of_a_mean(self)

    def update(self, hidden: Tensor, mask: Tensor | None = None) -> None:
        """Adds texts, as `MatrixEntropy.update` does."""
        _add(self, matrix_nuclear_norm(hidden, mask))

    def compute(self) -> Tensor:
        """The mean over all texts since the last reset.

        Raises:
            RepresentationError: no texts were added.
        """
        return _mean(self)


class RankMe(Metric):
    """RankMe of a data set, from one vector per text. Its state is a d x d matrix for any number of texts.

    Args:
        hidden_size: d.
        epsilon: as in `rankscope.metrics.rankme`.
        settings: those of `torchmetrics.Metric`.
    """

    is_differentiable = False
    higher_is_better = None
    full_state_update = False
    texts: Tensor
    total: Tensor
    outer: Tensor

    def __init__(self, hidden_size: int, *, epsilon: float = RANKME_EPSILON, **settings: Any) -> None:
        super().__init__(**settings)
        self.epsilon = epsilon
        _add_states_of_moments(self, hidden_size)

    def update(self, vectors: Tensor) -> None:
        """Adds the vectors of some texts, (texts, d).

        Raises:
            RepresentationError: wrong shape.
        """
        _add_moments(self, vectors)

    def compute(self) -> Tensor:
        """RankMe of all texts since the last reset.

        Raises:
            RepresentationError: as `rankscope.metrics.rankme`, for example for fewer than two texts.
        """
        return rankme(_moments(self), epsilon=self.epsilon)


class AlphaReQ(Metric):
    """Alpha-ReQ of a data set, from one vector per text. Its state is a d x d matrix for any number of texts.

    Args:
        hidden_size: d.
        ranks: as in `rankscope.metrics.alpha_req`.
        settings: those of `torchmetrics.Metric`.
    """

    is_differentiable = False
    higher_is_better = None
    full_state_update = False
    texts: Tensor
    total: Tensor
    outer: Tensor

    def __init__(self, hidden_size: int, *, ranks: tuple[int, int] = FIT_RANKS, **settings: Any) -> None:
        super().__init__(**settings)
        self.ranks = ranks
        _add_states_of_moments(self, hidden_size)

    def update(self, vectors: Tensor) -> None:
        """Adds the vectors of some texts, (texts, d).

        Raises:
            RepresentationError: wrong shape.
        """
        _add_moments(self, vectors)

    def compute(self) -> Tensor:
        """Alpha-ReQ of all texts since the last reset.

        Raises:
            RepresentationError: as `rankscope.metrics.alpha_req`, for example for fewer texts than the fit needs.
        """
        return alpha_req(_moments(self), ranks=self.ranks)


def _add_states_of_a_mean(metric: Metric) -> None:
    metric.add_state("total", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
    metric.add_state("texts", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")


def _add(metric: MatrixEntropy | EffectiveRank | MatrixNuclearNorm, values: Tensor) -> None:
    metric.total = metric.total + values.sum().to(metric.total.device)
    metric.texts = metric.texts + values.numel()


def _mean(metric: MatrixEntropy | EffectiveRank | MatrixNuclearNorm) -> Tensor:
    if metric.texts == 0:
        raise RepresentationError("no texts", "a mean needs at least one text, got none: call update() first")
    return metric.total / metric.texts


def _add_states_of_moments(metric: Metric, hidden_size: int) -> None:
    for name, zeros in (
        ("texts", torch.zeros((), dtype=torch.int64)),
        ("total", torch.zeros(hidden_size, dtype=torch.float64)),
        ("outer", torch.zeros(hidden_size, hidden_size, dtype=torch.float64)),
    ):
        metric.add_state(name, zeros, dist_reduce_fx="sum")


def _add_moments(metric: RankMe | AlphaReQ, vectors: Tensor) -> None:
    hidden_size = len(metric.total)
    if vectors.dim() != 2 or vectors.shape[1] != hidden_size:
        raise RepresentationError(
            "wrong shape",
            f"pooled vectors must have shape (texts, {hidden_size}) for hidden_size={hidden_size}, "
            f"got {tuple(vectors.shape)}",
        )
    sums = _moments(metric) + TokenMoments.of(vectors.to(metric.outer.device))
    metric.texts, metric.total, metric.outer = sums.tokens, sums.total, sums.outer


def _moments(metric: RankMe | AlphaReQ) -> TokenMoments:
    return TokenMoments(metric.texts, metric.total, metric.outer)
