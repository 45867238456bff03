"""Moments of all tokens of a set of texts at each layer, from which a pooled covariance is computed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from torch import Tensor

from rankscope.metrics import TokenMoments
from rankscope.metrics.rows import directions
from rankscope.models import Batch

if TYPE_CHECKING:
    from rankscope.measuring.planned import Plan
    from rankscope.models import LoadedNetwork


def measure_token_moments(
    plan: Plan, network: LoadedNetwork, layers: Sequence[str], told: Callable[[int], None] = lambda _: None
) -> dict[str, TokenMoments]:
    """Moments of the tokens of a plan at each layer, with each token's state scaled to unit length.

    The norms before attention and feed-forward do the same scaling, up to their own weights; and a few tokens with
    states a thousand times as long as the others do not dominate. Needs memory for d x d float64 numbers per layer.

    Args:
        plan: the token ids.
        network: `fitted_to` this plan.
        layers: names, in order of depth.
        told: called with the number of tokens of each finished batch.

    Raises:
        RepresentationError: a token whose state is zero or not finite.
        ForwardPassError: as for `LoadedNetwork.run`.
    """
    found: dict[str, TokenMoments] = {}

    def add(layer: str, states: list[Tensor]) -> None:
        for text in states:
            rows = directions(text)
            moments = TokenMoments.of(rows.cpu() if rows.device.type == "mps" else rows)  # sums are in float64
            found[layer] = found[layer] + moments if layer in found else moments

    for texts in filter(None, plan.batches):  # a batch of another part of the plan is empty
        batch = Batch.of([list(text.tokens) for text in texts])
        for part in network.parts(batch.lengths):
            network.run(batch.select(part), tuple(layers), add, loss=False)
        told(sum(batch.lengths))
    return found
