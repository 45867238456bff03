"""Hidden states of each text, whatever the order of axes."""

from __future__ import annotations

import pytest
import torch

from rankscope.models.arrangement import Arrangement, arrangement_of

STATES = torch.arange(2 * 5 * 3, dtype=torch.float64).view(2, 5, 3)  # 2 texts, 5 tokens, d = 3
STREAMS = torch.stack([STATES - 1, STATES + 1, STATES - 2, STATES + 2])


@pytest.mark.parametrize(
    ("arrangement", "states"),
    [
        (Arrangement.TEXTS_FIRST, STATES),
        (Arrangement.TOKENS_FIRST, STATES.transpose(0, 1)),
        (Arrangement.STREAMS_FIRST, STREAMS),
        (Arrangement.STREAMS_INSIDE, STREAMS.permute(1, 2, 0, 3)),
    ],
)
def test_texts_come_apart_without_their_padding(arrangement: Arrangement, states: torch.Tensor) -> None:
    assert arrangement_of(states, 2, 5) is arrangement
    first, second = arrangement.of_texts(states, [5, 2])
    assert torch.equal(first, STATES[0])
    assert torch.equal(second, STATES[1, :2])


@pytest.mark.parametrize("shape", [(2, 6, 3), (5, 3), (2, 3, 5, 5), (10, 3)])
def test_anything_else_has_no_arrangement(shape: tuple[int, ...]) -> None:
    assert arrangement_of(torch.zeros(shape), 2, 5) is None
