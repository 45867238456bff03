"""A network without some blocks is the network that is built from the shorter configuration by hand."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import CONFIG_MAPPING, AutoModelForCausalLM

from rankscope.errors import ModelError, SettingsError
from rankscope.models import find_blocks, without_blocks
from tiny import CONFIGURATIONS, VOCABULARY, tiny_config, tiny_model

IDS = torch.arange(3, 23)[None]


def logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        return model(input_ids=IDS, use_cache=False).logits


def rebuilt_by_hand(model: Any, name: str, kept: tuple[int, ...]) -> Any:
    """A new network of the shorter configuration, with the weights of the kept blocks under their new numbers."""
    config = tiny_config(name)
    config.num_hidden_layers = len(kept)
    if vars(config).get("layer_types"):
        config.layer_types = [model.config.layer_types[place] for place in kept]
    (path,) = [path for path, module in model.named_modules() if module is find_blocks(model)]
    weights = {}
    for key, value in model.state_dict().items():
        found = re.match(rf"{re.escape(path)}\.(\d+)\.(.*)", key)
        if found is None:
            weights[key] = value
        elif int(found[1]) in kept:
            weights[f"{path}.{kept.index(int(found[1]))}.{found[2]}"] = value
    smaller = AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()
    smaller.load_state_dict(weights)
    return smaller


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_it_is_the_network_rebuilt_by_hand_and_whole_again_afterwards(name: str) -> None:
    model = tiny_model(name)
    whole, config = logits(model), model.config.to_dict()
    by_hand = logits(rebuilt_by_hand(model, name, (0, 2)))
    with without_blocks(model, [2]) as smaller:
        assert torch.equal(logits(smaller), by_hand)
        assert smaller.config.num_hidden_layers == 2
    assert not torch.equal(whole, by_hand)
    assert torch.equal(logits(model), whole)
    assert model.config.to_dict() == config


def test_each_block_keeps_its_kind_of_attention(tmp_path: Path) -> None:
    _, sizes = CONFIGURATIONS["gemma3"]
    kinds = ["sliding_attention", "full_attention", "sliding_attention"]
    torch.manual_seed(0)
    config = CONFIG_MAPPING["gemma3_text"](**sizes, vocab_size=VOCABULARY, layer_types=kinds, sliding_window=4)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()
    with without_blocks(model, [1]) as smaller:
        here = logits(smaller)
        assert smaller.config.layer_types == ["full_attention", "sliding_attention"]
        smaller.save_pretrained(tmp_path)
    assert model.config.layer_types == kinds
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32)
    assert torch.equal(logits(loaded), here)


def test_blocks_come_back_after_an_error() -> None:
    model = tiny_model("llama")
    whole = logits(model)
    with pytest.raises(KeyboardInterrupt), without_blocks(model, [1, 3]):
        raise KeyboardInterrupt
    assert torch.equal(logits(model), whole)


def test_a_block_that_would_be_another_when_it_is_loaded_is_refused() -> None:
    """Every second block has experts, counted from the first: without it dense ones would move to their places."""
    config = CONFIG_MAPPING["qwen2_moe"](
        vocab_size=VOCABULARY, hidden_size=32, intermediate_size=48, num_hidden_layers=4, num_attention_heads=4,
        num_key_value_heads=2, moe_intermediate_size=16, shared_expert_intermediate_size=16, num_experts=4,
        num_experts_per_tok=2, decoder_sparse_step=2, pad_token_id=None,
    )  # fmt: skip
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()
    with pytest.raises(ModelError, match="would have a different .* when it is loaded"), without_blocks(model, [1]):
        pass
    with without_blocks(model, [1, 2]) as smaller:  # a whole period
        assert len(find_blocks(smaller)) == 2
    assert len(find_blocks(model)) == model.config.num_hidden_layers == 4


def test_a_plain_attribute_that_would_be_another_is_refused() -> None:
    model = tiny_model("llama")
    model.model.layers[2].self_attn.scaling *= 2
    with pytest.raises(ModelError, match=r"block 2 has self_attn.scaling"), without_blocks(model, [1]):
        pass


@pytest.mark.parametrize(
    ("removed", "said"), [([0], "from 1 to 3, got 0"), ([4], "got 4"), ([1, 2, 3], "at least one")]
)
def test_numbers_that_cannot_be_are_refused(removed: list[int], said: str) -> None:
    model = tiny_model("llama")
    with pytest.raises(SettingsError, match=said), without_blocks(model, removed):
        pass


def test_nothing_removed_is_the_same_network() -> None:
    model = tiny_model("llama")
    with without_blocks(model, []) as same:
        assert len(find_blocks(same)) == 3
