"""Rounded weights are those of torch's own fake quantisation, and a network runs on them as if they were its own."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from rankscope.errors import ModelError, SettingsError
from rankscope.models import Rounding, find_blocks, linear_layers, rounded_weights, share_of_linear_weights
from rankscope.models.linear_layers import is_transposed
from tiny import tiny_model

IDS = torch.arange(3, 23)[None]


def by_torch(rows: torch.Tensor, bits: int) -> torch.Tensor:
    largest = 2 ** (bits - 1) - 1
    scales = rows.abs().amax(dim=1) / largest
    zeros = torch.zeros(len(rows), dtype=torch.int32)
    return torch.fake_quantize_per_channel_affine(rows, scales, zeros, 0, -largest, largest)


@pytest.mark.parametrize("bits", [8, 6, 4, 3, 2])
def test_rows_and_groups_are_rounded_as_torch_does(bits: int) -> None:
    weight = torch.randn(24, 96, generator=torch.Generator().manual_seed(bits))
    torch.testing.assert_close(Rounding(bits).of(weight), by_torch(weight, bits))
    groups = by_torch(weight.reshape(-1, 32), bits).reshape(24, 96)
    torch.testing.assert_close(Rounding(bits, 32).of(weight), groups)


def test_the_last_group_of_a_row_may_be_shorter() -> None:
    weight = torch.randn(5, 80, generator=torch.Generator().manual_seed(0))
    parts = [by_torch(weight[:, start : start + 32], 4) for start in (0, 32, 64)]
    torch.testing.assert_close(Rounding(4, 32).of(weight), torch.cat(parts, dim=1))


def test_zeros_stay_zeros_and_the_largest_number_stays_itself() -> None:
    weight = torch.tensor([[0.0, 0.0], [3.0, -1.4]])
    assert Rounding(3).of(weight).tolist() == [[0.0, 0.0], [3.0, -1.0]]


def test_more_bits_are_closer() -> None:
    weight = torch.randn(16, 64, generator=torch.Generator().manual_seed(1))
    errors = [float((Rounding(bits).of(weight) - weight).norm()) for bits in (8, 6, 4, 3)]
    assert errors == sorted(errors)


@pytest.mark.parametrize("name", ["llama", "gpt2"])
def test_the_network_runs_on_rounded_weights_and_has_its_own_afterwards(name: str) -> None:
    model = tiny_model(name)
    by_hand = copy.deepcopy(model)
    rounding = Rounding(3, 16)
    with torch.no_grad():
        for layer in linear_layers(find_blocks(by_hand)):
            weight = layer.get_parameter("weight")
            weight.copy_(rounding.of(weight.T).T if is_transposed(layer) else rounding.of(weight))
        whole = model(input_ids=IDS).logits
        with rounded_weights(model, rounding) as rounded:
            assert torch.equal(rounded(input_ids=IDS).logits, by_hand(input_ids=IDS).logits)
        assert torch.equal(model(input_ids=IDS).logits, whole)
        assert not torch.equal(by_hand(input_ids=IDS).logits, whole)
    assert {type(layer) for layer in linear_layers(model)} <= {nn.Linear, *map(type, linear_layers(by_hand))}


def test_the_share_leaves_norms_out() -> None:
    model = tiny_model("llama")
    norms = 3 * 2 * 32
    everything = sum(weight.numel() for weight in find_blocks(model).parameters())
    assert share_of_linear_weights(model) == pytest.approx(1 - norms / everything)


def test_what_cannot_be_rounded_is_refused() -> None:
    with pytest.raises(SettingsError, match="2 bits or more"):
        Rounding(1)
    with pytest.raises(SettingsError, match="groups of 1 or more"):
        Rounding(4, 0)
    model = tiny_model("llama")
    for block in find_blocks(model):
        block.self_attn, block.mlp = nn.Identity(), nn.Identity()
    with pytest.raises(ModelError, match="no linear layers"), rounded_weights(model, Rounding(4)):
        pass


def test_schemes_have_names() -> None:
    assert [Rounding(4).scheme, Rounding(4, 64).scheme] == ["by channel", "in groups of 64"]
