"""From the entropies and losses of many texts to Diff-eRank and reduced loss.

Source: arXiv 2401.17139, sections 3 and 5.3 (algorithms a and b).
"""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from rankscope.errors import SettingsError
from rankscope.metrics.arrays import ArrayLike, real_tensor

Algorithm = Literal["a", "b"]


def aggregate_effective_rank(entropies: ArrayLike, algorithm: Algorithm = "a") -> Float[Tensor, "*batch"]:
    """Effective rank of a data set from the matrix entropy of each of its texts.

    Algorithm a: exp(mean H), a geometric mean of effective ranks, as published. Algorithm b: mean exp H.
    By Jensen's inequality a <= b. Unit: dimensions.

    Args:
        entropies: matrix entropies in nats, texts in the last dimension.
        algorithm: `a` or `b`.

    Raises:
        SettingsError: no texts, non-finite entropies, or another algorithm.
        RepresentationError: values that are not real numbers.

    Example:
        >>> import math
        >>> entropies = [math.log(4), math.log(16)]
        >>> [round(float(aggregate_effective_rank(entropies, one)), 4) for one in ("a", "b")]
        [8.0, 10.0]
    """
    entropies = _by_text(entropies, "entropies")
    if algorithm == "a":
        return entropies.mean(dim=-1).exp()
    if algorithm == "b":
        return entropies.exp().mean(dim=-1)
    raise SettingsError(f"the algorithm must be 'a' (exp of the mean) or 'b' (mean of exp), got {algorithm!r}")


def diff_erank(untrained: ArrayLike, trained: ArrayLike, algorithm: Algorithm = "a") -> Float[Tensor, "*twins"]:
    """Diff-eRank: effective rank of the untrained twin minus that of the trained model.

    Both terms use the same algorithm, from the matrix entropy of each text; one number per twin.
    Unit: dimensions. It can be negative, and depends on the initialisation of the untrained network. Read both
    terms.

    Args:
        untrained: entropies of the twin, (texts,) or (twins, texts).
        trained: entropies of the trained model on the same texts, (texts,).
        algorithm: `a` or `b`.

    Raises:
        SettingsError: as for `aggregate_effective_rank`, or different numbers of texts.

    Example:
        >>> import math
        >>> round(float(diff_erank([math.log(8), math.log(32)], [math.log(4), math.log(16)])), 4)  # 16 - 8
        8.0
    """
    untrained, trained = _of_same_texts(untrained, trained, "entropies")
    return aggregate_effective_rank(untrained, algorithm) - aggregate_effective_rank(trained, algorithm)


def erank_ratio(untrained: ArrayLike, trained: ArrayLike, algorithm: Algorithm = "a") -> Float[Tensor, "*twins"]:
    """Effective rank of the trained model as a share of that of its untrained twin.

    Both terms use the same algorithm, as in `diff_erank`. A difference grows with both terms, and so with the hidden
    size; a ratio does not. It is 1 if training changed nothing, and below 1 if Diff-eRank is positive. Unit: none.

    Args:
        untrained: entropies of the twin, (texts,) or (twins, texts).
        trained: entropies of the trained model on the same texts, (texts,).
        algorithm: `a` or `b`.

    Raises:
        SettingsError: as for `diff_erank`.

    Example:
        >>> import math
        >>> round(float(erank_ratio([math.log(8), math.log(32)], [math.log(4), math.log(16)])), 4)  # 8 / 16
        0.5
    """
    untrained, trained = _of_same_texts(untrained, trained, "entropies")
    return aggregate_effective_rank(trained, algorithm) / aggregate_effective_rank(untrained, algorithm)


def reduced_loss(untrained: ArrayLike, trained: ArrayLike) -> Float[Tensor, "*twins"]:
    """Reduced loss: mean loss of the untrained twin minus that of the trained model, in nats.

    Args:
        untrained: losses of the twin, (texts,) or (twins, texts).
        trained: losses of the trained model on the same texts, (texts,).

    Raises:
        SettingsError: no texts, different numbers of texts, or non-finite losses.

    Example:
        >>> float(reduced_loss([9.0, 11.0], [2.0, 3.0]))
        7.5
    """
    untrained, trained = _of_same_texts(untrained, trained, "losses")
    return untrained.mean(dim=-1) - trained.mean(dim=-1)


def _of_same_texts(untrained: ArrayLike, trained: ArrayLike, what: str) -> tuple[Tensor, Tensor]:
    first, second = _by_text(untrained, what), _by_text(trained, what)
    if second.dim() != 1 or first.shape[-1] != second.shape[0]:
        raise SettingsError(
            f"{what} of the twin, (texts,) or (twins, texts), and of the trained model, (texts,), must belong to the "
            f"same texts, got shapes {tuple(first.shape)} and {tuple(second.shape)}"
        )
    return first, second


def _by_text(values: ArrayLike, what: str) -> Tensor:
    found = real_tensor(values, what)
    if found.dim() == 0 or found.shape[-1] == 0:
        raise SettingsError(f"{what} of a data set need at least one text, got shape {tuple(found.shape)}")
    if not torch.isfinite(found).all():
        raise SettingsError(f"{what} must be finite, got NaN or infinity: exclude texts without a value")
    return found
