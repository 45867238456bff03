from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import LlamaForCausalLM

from rankscope.errors import ModelError
from rankscope.models import Placement, describe_model, load_model, parse_model_reference
from tiny_gguf import tiny_llama, write_gguf

pytestmark = pytest.mark.slow

LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}
YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32}
FACTORS = [1.0, 1.5, 2.5, 4.0]
LONGROPE = {
    "rope_type": "longrope",
    "short_factor": FACTORS,
    "long_factor": [2 * factor for factor in FACTORS],
    "original_max_position_embeddings": 32,
    "attention_factor": 1.25,
}


def llama3_divisors() -> np.ndarray:
    """What llama.cpp's converter writes for Llama 3 (convert_hf_to_gguf.py, generate_extra_tensors)."""
    divisors = []
    for frequency in 1.0 / 10000 ** (np.arange(0, 8, 2) / 8):
        wavelength = 2 * math.pi / frequency
        if wavelength < 64 / 4:
            divisors.append(1.0)
        elif wavelength > 64:
            divisors.append(8.0)
        else:
            smooth = (64 / wavelength - 1) / 3
            divisors.append(1 / ((1 - smooth) / 8 + smooth))
    return np.array(divisors, dtype=np.float32)


def logits(model: LlamaForCausalLM, length: int) -> torch.Tensor:
    ids = torch.arange(length)[None] % 300
    with torch.no_grad():
        return model(ids).logits


def load(path: Path) -> LlamaForCausalLM:
    return load_model(describe_model(parse_model_reference(str(path))), Placement())


@pytest.mark.parametrize(
    ("rope", "keys", "tensors"),
    [
        ({}, {}, {}),
        ({}, {"rope.scaling.type": "none", "rope.scaling.factor": 4.0}, {}),
        ({}, {"rope.scaling.finetuned": True}, {}),
        ({"rope_type": "linear", "factor": 4.0}, {"rope.scaling.type": "linear", "rope.scaling.factor": 4.0}, {}),
        ({"rope_type": "linear", "factor": 4.0}, {"rope.scaling.factor": 4.0}, {}),
        ({"rope_type": "linear", "factor": 4.0}, {"rope.scale_linear": 4.0}, {}),
        (
            YARN,
            {
                "rope.scaling.type": "yarn",
                "rope.scaling.factor": 4.0,
                "rope.scaling.original_context_length": 32,
                "rope.scaling.finetuned": True,
            },
            {},
        ),
        (
            YARN | {"beta_fast": 16.0, "beta_slow": 2.0, "attention_factor": 2 * (0.1 * math.log(4) + 1)},
            {
                "rope.scaling.type": "yarn",
                "rope.scaling.factor": 4.0,
                "rope.scaling.original_context_length": 32,
                "rope.scaling.attn_factor": 2.0,
                "rope.scaling.yarn_beta_fast": 16.0,
                "rope.scaling.yarn_beta_slow": 2.0,
            },
            {},
        ),
        (LLAMA3, {}, {"rope_freqs.weight": llama3_divisors()}),
        (
            LONGROPE,
            {
                "rope.scaling.type": "longrope",
                "rope.scaling.original_context_length": 32,
                "rope.scaling.attn_factor": 1.25,
            },
            {
                "rope_factors_short.weight": np.array(FACTORS, dtype=np.float32),
                "rope_factors_long.weight": np.array([2 * factor for factor in FACTORS], dtype=np.float32),
            },
        ),
        ({"rope_theta": 500.0}, {"rope.freq_base": 500.0}, {}),
    ],
)
def test_a_file_is_the_network_that_it_states(
    tmp_path: Path, rope: dict[str, Any], keys: dict[str, Any], tensors: dict[str, np.ndarray]
) -> None:
    """Two networks that share all weights and differ in their rotary embeddings alone."""
    model = tiny_llama(**rope)
    keys = {key: value for key, value in keys.items() if key != "rope.freq_base"}  # written by the helper
    loaded = load(write_gguf(tmp_path / "tiny.gguf", model, keys, tensors))
    for length in (20, 60):  # on both sides of longrope's threshold
        torch.testing.assert_close(logits(loaded, length), logits(model, length), rtol=1e-4, atol=1e-5)
        if rope:
            assert not torch.allclose(logits(loaded, length), logits(tiny_llama(), length), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    ("keys", "tensors", "message"),
    [
        ({"rope.scaling.type": "spiral"}, {}, "rope.scaling.type = 'spiral'"),
        ({"rope.scaling.type": "linear", "rope.scaling.factor": -1.0}, {}, "rope.scaling.factor = -1.0"),
        ({"rope.scaling.factor": "four"}, {}, "rope.scaling.factor = 'four'"),
        ({"rope.scaling.attn_factor": 2.0}, {}, "rope.scaling.attn_factor = 2.0 with scaling of type linear"),
        ({"rope.scaling.yarn_log_multiplier": 0.5}, {}, "yarn_log_multiplier = 0.5"),
        ({"rope.scaling.type": "longrope"}, {}, "lacks its tensors rope_factors_short"),
        ({"rope.freq_base_swa": 99.0}, {}, "freq_base_swa = 99.0"),
        ({}, {"rope_freqs.weight": np.zeros(4, dtype=np.float32)}, "factors that are not positive"),
        ({}, {"rope_freqs.weight": np.ones(4, dtype=np.float16)}, "data type 1, expected 0"),
        ({}, {"rope_freqs.weight": np.full(3, 2, dtype=np.float32)}, "3 factors .* 4 frequencies"),
    ],
)
def test_what_cannot_be_applied_is_refused(
    tmp_path: Path, keys: dict[str, Any], tensors: dict[str, np.ndarray], message: str
) -> None:
    path = write_gguf(tmp_path / "tiny.gguf", tiny_llama(), keys, tensors)
    with pytest.raises(ModelError, match=message):
        describe_model(parse_model_reference(str(path)))
