"""A layer's states are there while it is seen, and gone afterwards."""

from __future__ import annotations

import torch

from rankscope.measuring.seen import HowSeen, Seen

HIDDEN = torch.randn(9, 6, generator=torch.Generator().manual_seed(0))


def test_dropped_tokens_are_gone_and_texts_without_enough_left_have_an_error() -> None:
    seen = Seen("3", {7: HIDDEN, 2: HIDDEN[:3]}, HowSeen(drop="2"))
    assert seen.tokens == {7: 7}
    assert torch.equal(seen.states[7], HIDDEN[2:])
    assert seen.errors[2].fault == "too few tokens left"
    assert seen.representations.parts[0].places == (0,)


def test_nothing_large_is_kept() -> None:
    seen = Seen("3", {7: HIDDEN, 2: HIDDEN[:3]})
    assert (seen.places, seen.hidden_size) == ((7, 2), 6)
    _ = seen.representations
    seen.release()
    assert not seen.states
    assert all(part.rows is None for part in seen.representations.parts)
    assert seen.tokens == {7: 9, 2: 3}
