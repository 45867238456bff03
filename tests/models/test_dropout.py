"""What counts as dropout is what makes train mode differ from eval mode, no more and no less."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import CONFIG_MAPPING, AutoModelForCausalLM, PretrainedConfig

from rankscope.models import dropout_of
from tiny import CONFIGURATIONS, VOCABULARY, tiny_config

_BLOCKS = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48}
_BLOOM = {"hidden_size": 32, "n_layer": 2, "n_head": 4}
_FALCON = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "alibi": False, "parallel_attn": True}
MORE: dict[str, tuple[str, dict[str, Any]]] = {
    "bloom": ("bloom", _BLOOM),
    "falcon": ("falcon", _FALCON),
    "falcon-alibi": ("falcon", _FALCON | {"alibi": True}),
    "falcon-sequential": ("falcon", _FALCON | {"parallel_attn": False}),
    "falcon-40b": ("falcon", _FALCON | {"new_decoder_architecture": True, "num_kv_heads": 2}),
    "gptj": ("gptj", {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64, "rotary_dim": 4}),
    "gpt_bigcode": ("gpt_bigcode", {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64}),
    "mpt": ("mpt", {"d_model": 32, "n_layers": 2, "n_heads": 4, "max_seq_len": 64}),
    "persimmon": ("persimmon", _BLOCKS),
    "phi": ("phi", _BLOCKS),
    "stablelm": ("stablelm", _BLOCKS | {"num_key_value_heads": 4}),
    "starcoder2": ("starcoder2", _BLOCKS),
    "xglm": ("xglm", {"d_model": 32, "num_layers": 2, "attention_heads": 4, "ffn_dim": 48}),
}


def config_of(name: str) -> PretrainedConfig:
    if name in CONFIGURATIONS:
        return tiny_config(name)
    model_type, sizes = MORE[name]
    tokens = {"vocab_size": VOCABULARY, "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 2}
    return CONFIG_MAPPING[model_type](**sizes, **tokens)


def dropout_keys(config: PretrainedConfig) -> list[str]:
    return [
        key
        for key, value in config.to_dict().items()
        if ("drop" in key) and isinstance(value, (int, float)) and not isinstance(value, bool)
    ]


def train_mode_differs(config: PretrainedConfig) -> bool:
    """Whether states in train mode differ from those in eval mode; several draws, as dropout may drop nothing."""
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()
    tokens = torch.arange(3, 23)[None]
    with torch.no_grad():
        calm = model(tokens, use_cache=False).logits
        model.train()
        return any(not torch.equal(calm, model(tokens, use_cache=False).logits) for _ in range(4))


def outlined(config: PretrainedConfig) -> Any:
    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(config, dtype=torch.float32)


@pytest.mark.parametrize("name", [*CONFIGURATIONS, *MORE])
def test_dropout_is_what_train_mode_changes(name: str) -> None:
    config = config_of(name)
    keys = dropout_keys(config)
    for switched_on in (None, *keys):
        for key in keys:
            setattr(config, key, 0.6 if key == switched_on else 0.0)
        expected = train_mode_differs(config)
        assert dropout_of(outlined(config)) == (0.6 if expected else 0.0), switched_on


def test_the_largest_counts() -> None:
    config = tiny_config("opt")
    config.dropout, config.attention_dropout = 0.1, 0.3
    assert dropout_of(outlined(config)) == 0.3


@pytest.mark.parametrize("name", ["gpt2", "gpt_neox"])
def test_dropout_of_heads_that_are_not_there_does_not_count(name: str) -> None:
    config = tiny_config(name)
    for key in dropout_keys(config):
        setattr(config, key, 0.0)
    for key in ("classifier_dropout", "summary_first_dropout"):
        setattr(config, key, 0.9)
    assert dropout_of(outlined(config)) == 0
