"""The few texts that decide how a network reads all of them."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from transformers import LlamaConfig

from rankscope.models import decisive_texts

BATCHES = st.lists(st.lists(st.lists(st.integers(0, 50), min_size=1, max_size=12), min_size=1, max_size=5), max_size=5)


def pairs(batches: list[list[list[int]]], regime: int) -> list[tuple[list[int], list[int]]]:
    """The longest and the shortest text of each forward pass."""
    passes = [
        [text for text in batch if (len(text) > regime) == is_long] for batch in batches for is_long in (True, False)
    ]
    return [(texts[0], texts[-1]) for texts in passes if texts]


@given(BATCHES, st.sampled_from([4, 100]))
def test_the_same_padding_and_the_same_largest_id_as_of_all_texts(batches: Any, regime: int) -> None:
    batches = [sorted(batch, key=len, reverse=True) for batch in batches]
    config = LlamaConfig(
        max_position_embeddings=200,
        rope_parameters={
            "rope_type": "longrope",
            "rope_theta": 1e4,
            "original_max_position_embeddings": regime,
            "short_factor": [1.0] * 64,
            "long_factor": [1.0] * 64,
        },
    )
    found = decisive_texts(config, batches)
    padding = max((len(longer) - len(shorter) for longer, shorter in pairs(batches, regime)), default=0)
    assert max((len(longer) - len(shorter) for longer, shorter in pairs(found, regime)), default=0) == padding
    if padding:
        first = next(pair for pair in pairs(batches, regime) if len(pair[0]) - len(pair[1]) == padding)
        assert len(found[0][0]) == len(first[0])
        assert all(text in [one for batch in batches for one in batch] for text in found[0])
    largest = max((max(text) for batch in batches for text in batch), default=None)
    assert max((max(text) for batch in found for text in batch), default=None) == largest
    assert len(found) == bool(batches) + bool(padding)
