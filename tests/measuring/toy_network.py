"""A network that no library made: embeddings, then blocks that write each layer over the one before."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from rankscope.models import Batch, Reading

SIZE, BLOCKS, VOCABULARY = 16, 3, 50


@dataclass
class ToyNetwork:
    """As a backend of another library would bring it.

    Attributes:
        passes: the layers that each forward pass handed over, and whether it computed a loss.
    """

    passes: list[tuple[tuple[str, ...], bool]] = field(default_factory=list)
    dtype: torch.dtype = torch.float32
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    reading: Reading = field(default_factory=Reading)

    def fitted_to(self, name: str, batches: Iterable[Sequence[Sequence[int]]]) -> ToyNetwork:
        assert name
        assert all(token < VOCABULARY for batch in batches for text in batch for token in text)
        return self

    def parts(self, lengths: tuple[int, ...]) -> list[list[int]]:
        return [list(range(len(lengths)))]

    def run(
        self, batch: Batch, layers: tuple[str, ...], on_layer: Callable[[str, list[Tensor]], None], *, loss: bool
    ) -> Tensor | None:
        self.passes.append((layers, loss))
        states = weights(0)[batch.input_ids]
        for depth in range(BLOCKS + 1):
            name = "last" if depth == BLOCKS else str(depth)
            if name in layers:
                on_layer(name, [text[:length] for text, length in zip(states, batch.lengths, strict=True)])
            if depth < BLOCKS:
                states.copy_(torch.tanh(states @ weights(depth + 1)) + states)
        return states.sum(dim=(1, 2)) if loss else None


def weights(depth: int) -> Tensor:
    """Of the embeddings (0) or of a block."""
    generator = torch.Generator().manual_seed(depth)
    return torch.randn(VOCABULARY if depth == 0 else SIZE, SIZE, generator=generator)


def states_by_hand(tokens: Sequence[int]) -> list[Tensor]:
    """The states of one text at each depth."""
    found = [weights(0)[list(tokens)]]
    for depth in range(1, BLOCKS + 1):
        found.append(torch.tanh(found[-1] @ weights(depth)) + found[-1])
    return found
