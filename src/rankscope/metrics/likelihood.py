"""Cross-entropy of the next token, and perplexity."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from rankscope.errors import RepresentationError
from rankscope.metrics.entropy import Mask, Numbers


def token_losses(
    logits: Float[Tensor, "positions vocabulary"], targets: Int[Tensor, " positions"]
) -> Float[Tensor, " positions"]:
    """-ln p(target) at each position, in nats; half precision is raised to float32 first."""
    return F.cross_entropy(logits.float() if logits.dtype.itemsize < 4 else logits, targets, reduction="none")


def token_cross_entropy(
    logits: Float[Tensor, "*batch tokens vocabulary"],
    input_ids: Int[Tensor, "*batch tokens"],
    mask: Mask = None,
) -> Numbers:
    """Mean cross-entropy of each text, -1/(N-1) sum ln p(token t+1 | tokens to t).

    Unit: nats per token. Differentiable. Padding belongs at the end of a text.

    Raises:
        RepresentationError: a text of fewer than two tokens, which predicts nothing.
    """
    if input_ids.dim() == 1:
        if input_ids.shape[0] < 2:
            raise RepresentationError("one token", f"a loss needs at least 2 tokens, got {input_ids.shape[0]}")
        return token_losses(logits[:-1], input_ids[1:]).mean()
    lengths = [len(ids) for ids in input_ids] if mask is None else mask.sum(dim=-1).tolist()
    return torch.stack(
        [token_cross_entropy(logits[text, :length], input_ids[text, :length]) for text, length in enumerate(lengths)]
    )


def perplexity(loss: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
    """exp(loss), for a loss in nats per token: of one text, or of a data set's mean loss."""
    return loss.exp()
