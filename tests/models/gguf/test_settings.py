from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from transformers import CONFIG_MAPPING, PretrainedConfig

from rankscope.errors import ModelError
from rankscope.models import describe_model, parse_model_reference
from rankscope.models.gguf import GgufHeader, apply_settings
from tiny_gguf import tiny_llama, write_gguf


def applied(model_type: str, architecture: str, settings: dict[str, Any], **sizes: Any) -> PretrainedConfig:
    """A configuration after a file's settings; without a file, as only its header counts."""
    config = CONFIG_MAPPING[model_type](**sizes)
    metadata = {f"{architecture}.{key}": value for key, value in settings.items()}
    header = GgufHeader(Path("made-up.gguf"), {"general.architecture": architecture} | metadata, {}, ())
    apply_settings(config, header)
    return config


def test_what_the_reader_drops_is_set() -> None:
    phi = applied("phi3", "phi3", {"attention.sliding_window": 2047, "rope.dimension_count": 48})
    assert phi.sliding_window == 2047
    assert phi.rope_parameters["partial_rotary_factor"] == 0.5
    gemma = applied("gemma2", "gemma2", {"attn_logit_softcapping": 20.0, "final_logit_softcapping": 10.0})
    assert (gemma.attn_logit_softcapping, gemma.final_logit_softcapping) == (20.0, 10.0)
    star = applied("starcoder2", "starcoder2", {"rope.freq_base": 999999.0})
    assert star.rope_parameters["rope_theta"] == 999999.0
    experts = applied("qwen2_moe", "qwen2moe", {"expert_feed_forward_length": 77, "attention.key_length": 128})
    assert experts.moe_intermediate_size == 77
    assert applied("gpt2", "gpt2", {"context_length": 64, "feed_forward_length": 99}).n_positions == 64
    falcon = applied("falcon", "falcon", {"attention.layer_norm_epsilon": 1e-3, "feed_forward_length": 4 * 4544})
    assert falcon.layer_norm_epsilon == 1e-3
    assert applied("mistral", "llama", {}).sliding_window is None


def test_gemma_3_scales_its_layers_with_full_attention_alone() -> None:
    config = applied(
        "gemma3_text",
        "gemma3",
        {"rope.scaling.type": "linear", "rope.scaling.factor": 8.0, "rope.freq_base": 1e6, "attention.key_length": 256},
    )
    assert config.rope_parameters["full_attention"] == {"rope_type": "linear", "factor": 8.0, "rope_theta": 1e6}
    assert config.rope_parameters["sliding_attention"]["rope_theta"] == 10000.0
    assert config.rope_parameters["sliding_attention"]["rope_type"] == "default"


def test_the_largest_gemmas_divide_by_the_width_of_a_head() -> None:
    """As their published configurations say: 144 of Gemma 2 27B, 168 of Gemma 3 27B, 256 of Gemma 2 9B."""
    sizes = {"attention.key_length": 128}
    large = applied("gemma2", "gemma2", sizes, hidden_size=4608, num_attention_heads=32, num_hidden_layers=46)
    assert large.query_pre_attn_scalar == 144
    large = applied("gemma3_text", "gemma3", sizes, hidden_size=5376, num_attention_heads=32, num_hidden_layers=62)
    assert large.query_pre_attn_scalar == 168
    sizes = {"attention.key_length": 256}
    small = applied("gemma2", "gemma2", sizes, hidden_size=3584, num_attention_heads=16, num_hidden_layers=42)
    assert small.query_pre_attn_scalar == 256


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"expert_count": 8}, "llama.expert_count = 8, which transformers' LlamaConfig does not read"),
        ({"attention.sliding_window": 16}, "attention.sliding_window = 16"),
        ({"attention.causal": False}, "attention.causal = False"),
        ({"attention.scale": 0.5}, "attention.scale = 0.5"),
        ({"logit_scale": 0.5}, "logit_scale = 0.5"),
        ({"attn_logit_softcapping": 50.0}, "attn_logit_softcapping = 50.0"),
        ({"attention.value_length": 16}, "attention.value_length = 16, but .* heads of 8"),
        ({"something.new": 3}, "llama.something.new = 3"),
        ({"general.type": "adapter"}, "not a model but a GGUF file of type 'adapter'"),
    ],
)
def test_what_the_class_cannot_do_is_refused(tmp_path: Path, keys: dict[str, Any], message: str) -> None:
    path = write_gguf(tmp_path / "tiny.gguf", tiny_llama(), keys)
    with pytest.raises(ModelError, match=message):
        describe_model(parse_model_reference(str(path)))


def test_entries_that_change_nothing_are_passed_over(tmp_path: Path) -> None:
    keys = {
        "attention.causal": True, "logit_scale": 1.0, "attention.sliding_window": 128, "expert_count": 0,
        "pooling_type": 1, "attention.key_length": 8, "attention.value_length": 8, "general.type": "model",
    }  # fmt: skip
    path = write_gguf(tmp_path / "tiny.gguf", tiny_llama(), keys)
    config = describe_model(parse_model_reference(str(path))).config
    assert config.rope_parameters == {"rope_type": "default", "rope_theta": 10000.0}
