from __future__ import annotations

import pytest
from torch import nn

from rankscope.models import LinearShape, examine, find_blocks, linear_layers, readers_of_layers
from tiny import VOCABULARY, tiny_model


@pytest.mark.parametrize(
    ("name", "shape", "linear"),
    [
        ("llama", LinearShape(32, 32 + 16 + 16), 7),  # query, key and value of half as many heads
        ("gpt2", LinearShape(32, 3 * 32), 4),  # one layer for all three, transposed
        ("gpt_neox", LinearShape(32, 3 * 32), 4),
    ],
)
def test_the_first_linear_layers_of_a_block_read_the_layer_before_it(
    name: str, shape: LinearShape, linear: int
) -> None:
    model = tiny_model(name)
    assert [len(list(linear_layers(block))) for block in find_blocks(model)] == [linear] * 3
    readers = readers_of_layers(examine(model), [5, 9, 17, 4])
    assert readers == {"0": shape, "1": shape, "2": shape, "last": LinearShape(32, VOCABULARY)}


def test_hooks_are_gone_afterwards() -> None:
    model = tiny_model("llama")
    readers_of_layers(examine(model), [5, 9, 17, 4])
    assert not any(module._forward_pre_hooks for module in model.modules())


def test_the_share_of_weights_is_that_of_two_smaller_layers() -> None:
    whole = nn.Linear(32, 64, bias=False)
    halves = nn.Sequential(nn.Linear(32, 10, bias=False), nn.Linear(10, 64, bias=False))
    counted = sum(weight.numel() for weight in halves.parameters()) / whole.weight.numel()
    assert LinearShape(32, 64).share_of_weights(10) == counted
