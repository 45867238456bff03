"""The torchmetrics classes on all data, or on a process's share of it; importable, so that processes can start it."""

from __future__ import annotations

import torch
from torch import Tensor

BATCHES, BATCH, TOKENS, HIDDEN_SIZE = 5, 3, 9, 6
RANKS = (1, 5)


def batches() -> list[tuple[Tensor, Tensor]]:
    """Hidden states and masks, with NaN where there is padding."""
    generator = torch.Generator().manual_seed(0)
    made = []
    for _ in range(BATCHES):
        hidden = torch.randn(BATCH, TOKENS, HIDDEN_SIZE, generator=generator) + 0.5
        mask = torch.arange(TOKENS) < torch.randint(3, TOKENS + 1, (BATCH, 1), generator=generator)
        made.append((hidden.masked_fill(~mask.unsqueeze(-1), float("nan")), mask))
    return made


def pooled(hidden: Tensor, mask: Tensor) -> Tensor:
    """Means over tokens, each its text's."""
    return torch.stack([text[real].mean(dim=0) for text, real in zip(hidden, mask, strict=True)])


def values_of_share(rank: int, share: int = 2) -> dict[str, Tensor]:
    """The metrics of three batches in one process and two in the other; of all in one process."""
    from rankscope.integrations.torchmetrics import AlphaReQ, EffectiveRank, MatrixEntropy, MatrixNuclearNorm, RankMe

    of_texts = [MatrixEntropy(), EffectiveRank(), MatrixNuclearNorm()]
    of_vectors = [RankMe(HIDDEN_SIZE), AlphaReQ(HIDDEN_SIZE, ranks=RANKS)]
    for hidden, mask in batches()[rank::share]:
        for metric in of_texts:
            metric.update(hidden, mask)
        for metric in of_vectors:
            metric.update(pooled(hidden, mask))
    return {type(metric).__name__: metric.compute() for metric in of_texts + of_vectors}
