"""Cross-entropy of the next token, and perplexity."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from rankscope.errors import RepresentationError
from rankscope.metrics.arrays import ArrayLike, any_tensor, real_tensor, token_mask
from rankscope.metrics.entropy import Mask, Numbers


def token_losses(
    logits: Float[Tensor, "positions vocabulary"], targets: Int[Tensor, " positions"]
) -> Float[Tensor, " positions"]:
    """-ln p(target) at each position, in nats; half precision is converted to float32 first.

    Example:
        >>> import torch
        >>> token_losses(torch.zeros(2, 4), torch.tensor([0, 3]))  # ln 4: four equal scores
        tensor([1.3863, 1.3863])
    """
    return F.cross_entropy(logits.float() if logits.dtype.itemsize < 4 else logits, targets, reduction="none")


def token_cross_entropy(logits: ArrayLike, input_ids: ArrayLike, mask: Mask = None) -> Numbers:
    """Mean cross-entropy of each text, -1/(N-1) sum ln p(token t+1 | tokens to t).

    Unit: nats per token. Differentiable.

    Args:
        logits: (tokens, vocabulary), or (batch, tokens, vocabulary).
        input_ids: token ids, of the same shape without the vocabulary.
        mask: True (or 1) for real tokens; those of a text are contiguous, with padding at its ends.

    Raises:
        RepresentationError: a text of fewer than two tokens, which predicts nothing; mismatched shapes, ids
            outside the vocabulary, a mask with gaps, or a non-finite loss.

    Example:
        >>> logits = [[0.0, 0.0], [0.0, 0.0], [0.0, 0.0]]
        >>> round(float(token_cross_entropy(logits, [0, 1, 0])), 4)  # ln 2: a guess between two
        0.6931
    """
    scores, ids = real_tensor(logits, "logits"), any_tensor(input_ids, "token ids")
    _check_logits(scores, ids)
    ids = ids.to(scores.device, torch.int64)
    real = torch.ones_like(ids, dtype=torch.bool) if mask is None else token_mask(mask, scores, "logits")
    if scores.dim() == 2:
        return _loss_of_text(scores, ids, real)
    return torch.stack([_loss_of_text(*text) for text in zip(scores, ids, real, strict=True)])


def _check_logits(logits: Tensor, ids: Tensor) -> None:
    if logits.dim() not in (2, 3) or logits.shape[:-1] != ids.shape or logits.shape[0] == 0:
        raise RepresentationError(
            "wrong shape",
            "logits must have shape (tokens, vocabulary) or (batch, tokens, vocabulary), and token ids the same "
            f"without the vocabulary; got {tuple(logits.shape)} and {tuple(ids.shape)}",
        )
    if ids.is_floating_point() or ids.is_complex() or ids.dtype == torch.bool:
        raise RepresentationError("wrong dtype", f"token ids must be integers, got dtype {ids.dtype}")


def _loss_of_text(logits: Tensor, ids: Tensor, real: Tensor) -> Tensor:
    places = real.nonzero().squeeze(1)
    if len(places) < 2:
        raise RepresentationError("one token", f"a loss needs at least 2 tokens, got {len(places)}")
    if int(places[-1] - places[0]) + 1 != len(places):
        raise RepresentationError("wrong mask", "the real tokens of a text must be contiguous: the mask has a gap")
    targets = ids[places]
    if ((targets < 0) | (targets >= logits.shape[-1])).any():
        worst = int(targets.min()) if targets.min() < 0 else int(targets.max())
        raise RepresentationError(
            "wrong token ids", f"token ids must be from 0 to {logits.shape[-1] - 1}, the last logit, got {worst}"
        )
    loss = token_losses(logits[places[:-1]], targets[1:]).mean()
    if not torch.isfinite(loss):
        raise RepresentationError("not finite", f"the loss is {float(loss)}: the logits contain NaN or infinity")
    return loss


def perplexity(loss: ArrayLike | float | int) -> Numbers:
    """exp(loss), for a loss in nats per token: of one text, or the mean loss of a data set.

    Raises:
        RepresentationError: values that are not real numbers.

    Example:
        >>> import math
        >>> round(float(perplexity(math.log(8))), 4)
        8.0
    """
    return real_tensor(loss, "a loss").exp()
