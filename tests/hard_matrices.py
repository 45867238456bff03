"""Hidden states that are hard on float32: massive activations, near-equal rows, low rank, large offsets."""

from __future__ import annotations

import torch

KINDS = (
    "noise", "falling", "massive token", "massive dimensions", "offset", "large offset", "low rank", "repeated tokens",
    "near-equal rows", "one direction",
)  # fmt: skip


def hard_matrix(kind: str, seed: int) -> torch.Tensor:
    """States of some shape, in float32; the same for the same seed."""
    generator = torch.Generator().manual_seed(1000 * KINDS.index(kind) + seed)

    def number(low: int, high: int) -> int:
        return int(torch.randint(low, high, (1,), generator=generator))

    def noise(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator)

    tokens, hidden_size = number(120, 260), number(140, 300)
    hidden = noise(tokens, hidden_size)
    if kind == "falling":
        hidden *= torch.logspace(0, -number(1, 7), hidden_size)
    if kind == "massive token":
        hidden[0] *= 1000
    if kind == "massive dimensions":
        hidden[:, :2] *= 10 ** number(1, 4)
    if kind == "offset":
        hidden += 30 * noise(hidden_size)
    if kind == "large offset":
        hidden += 3000 * noise(hidden_size)
    if kind == "low rank":
        rank = number(2, 60)
        hidden = noise(tokens, rank) @ noise(rank, hidden_size)
    if kind == "repeated tokens":
        hidden = hidden[torch.randint(0, tokens, (tokens,), generator=generator)]
    if kind == "near-equal rows":
        hidden = noise(hidden_size) + 10.0 ** -number(1, 3) * hidden
    if kind == "one direction":
        hidden += 10 ** number(0, 3) * noise(tokens, 1) * noise(hidden_size)
    return hidden
