"""From the entropies and losses of many texts to Diff-eRank and reduced loss.

Source: arXiv 2401.17139, sections 3 and 5.3 (algorithms a and b).
"""

from __future__ import annotations

from typing import Literal

from jaxtyping import Float
from torch import Tensor

from rankscope.errors import SettingsError

Algorithm = Literal["a", "b"]


def aggregate_effective_rank(
    entropies: Float[Tensor, "*batch texts"], algorithm: Algorithm = "a"
) -> Float[Tensor, "*batch"]:
    """Effective rank of a data set from the matrix entropy of each of its texts.

    Algorithm a: exp(mean H), a geometric mean of effective ranks; the published one. Algorithm b:
    mean exp H. By Jensen's inequality a <= b. Unit: dimensions.

    Raises:
        SettingsError: no texts, or another algorithm.
    """
    if entropies.shape[-1] == 0:
        raise SettingsError("an effective rank of a data set needs at least one text, got none")
    if algorithm == "a":
        return entropies.mean(dim=-1).exp()
    if algorithm == "b":
        return entropies.exp().mean(dim=-1)
    raise SettingsError(f"the algorithm is 'a' (exp of the mean) or 'b' (mean of exp), got {algorithm!r}")


def diff_erank(
    untrained: Float[Tensor, "*twins texts"], trained: Float[Tensor, " texts"], algorithm: Algorithm = "a"
) -> Float[Tensor, "*twins"]:
    """Diff-eRank: effective rank of the untrained twin minus that of the trained model.

    Both terms by the same algorithm, from the matrix entropy of each text; one number for each twin.
    Unit: dimensions. It can be negative, and depends on the initialisation of the untrained network. Read both
    terms.

    Raises:
        SettingsError: as `aggregate_effective_rank`.
    """
    return aggregate_effective_rank(untrained, algorithm) - aggregate_effective_rank(trained, algorithm)


def reduced_loss(untrained: Float[Tensor, "*twins texts"], trained: Float[Tensor, " texts"]) -> Float[Tensor, "*twins"]:
    """Reduced loss: mean loss of the untrained twin minus that of the trained model, in nats."""
    return untrained.mean(dim=-1) - trained.mean(dim=-1)
