from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import AutoModelForCausalLM, GptOssConfig, LlamaConfig

from rankscope.errors import ModelError
from rankscope.models import Placement, describe_model, load_model, parse_model_reference, untrained_twin
from rankscope.models.quantization import plain_weights
from tiny import VOCABULARY, save_tiny, tiny_tokenizer

BLOCK = 16
FP8 = {"quant_method": "fp8", "weight_block_size": [BLOCK, BLOCK], "activation_scheme": "dynamic"}


def quantized(folder: Path, settings: dict[str, Any] | None) -> Path:
    config = json.loads((folder / "config.json").read_text())
    if settings is not None:
        config["quantization_config"] = settings
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def load(folder: Path) -> Any:
    return load_model(describe_model(parse_model_reference(str(folder))), Placement())


def fp8_blocks(weight: Tensor, block: int) -> tuple[Tensor, Tensor, Tensor]:
    """Numbers in 8 bits, the scale of each block, and what the two stand for."""
    rows, columns = weight.shape
    scales = torch.zeros(-(-rows // block), -(-columns // block))
    numbers = torch.zeros(rows, columns, dtype=torch.float8_e4m3fn)
    meant = torch.zeros(rows, columns)
    for i in range(scales.shape[0]):
        for j in range(scales.shape[1]):
            place = slice(i * block, (i + 1) * block), slice(j * block, (j + 1) * block)
            scales[i, j] = weight[place].abs().max() / 448
            numbers[place] = (weight[place] / scales[i, j]).to(torch.float8_e4m3fn)
            meant[place] = numbers[place].float() * scales[i, j]
    return numbers, scales, meant


def save_fp8(folder: Path, block: int = BLOCK) -> tuple[Path, dict[str, Tensor]]:
    save_tiny(folder)
    stored: dict[str, Tensor] = {}
    meant: dict[str, Tensor] = {}
    for name, weight in load_file(folder / "model.safetensors").items():
        stored[name] = meant[name] = weight
        if "proj" in name:
            stored[name], stored[f"{name}_scale_inv"], meant[name] = fp8_blocks(weight, block)
    save_file(stored, folder / "model.safetensors", metadata={"format": "pt"})
    return folder, meant


def test_fp8_weights_are_multiplied_by_their_scales(tmp_path: Path) -> None:
    folder, meant = save_fp8(tmp_path / "fp8")
    quantized(folder, FP8)
    weights = load(folder).state_dict()
    for name, weight in meant.items():
        torch.testing.assert_close(weights[name], weight, rtol=1e-6, atol=0)
    assert untrained_twin(describe_model(parse_model_reference(str(folder))), 0, Placement()).dtype is torch.float32


def test_fp8_weights_without_their_configuration(tmp_path: Path) -> None:
    folder, _ = save_fp8(tmp_path / "fp8")
    with pytest.raises(ModelError, match=r"has 21 weights .*scale_inv.* config.json needs the .* quantization_config"):
        load(folder)


def test_fp8_weights_without_scales(tmp_path: Path) -> None:
    folder, _ = save_fp8(tmp_path / "fp8")
    weights = load_file(folder / "model.safetensors")
    del weights["model.layers.1.mlp.up_proj.weight_scale_inv"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    quantized(folder, FP8)
    with pytest.raises(
        ModelError, match=r"model.layers.1.mlp.up_proj.weight is in 8-bit floats without scales: expected"
    ):
        load(folder)


def test_fp8_blocks_that_do_not_divide_a_side(tmp_path: Path) -> None:
    """48 rows in blocks of 32 have two scales: transformers would take blocks of 24."""
    folder, _ = save_fp8(tmp_path / "fp8", block=32)
    quantized(folder, FP8 | {"weight_block_size": [32, 32]})
    with pytest.raises(ModelError, match="has 2 scales for a side of 48, in blocks of 32"):
        load(folder)


FP4 = torch.tensor([0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, -0.0, -0.5, -1.0, -1.5, -2.0, -3.0, -4.0, -6.0])


def test_mxfp4_experts_are_unpacked(tmp_path: Path) -> None:
    """Two numbers a byte, the lower half first, 32 numbers to a scale 2^(e - 127) (OCP Microscaling formats)."""
    torch.manual_seed(0)
    config = GptOssConfig(
        vocab_size=VOCABULARY, hidden_size=64, intermediate_size=32, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, head_dim=16, num_local_experts=2, num_experts_per_tok=1, max_position_embeddings=128,
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0}, bos_token_id=0, eos_token_id=1, pad_token_id=2,
    )  # fmt: skip
    AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path)
    tiny_tokenizer().save_pretrained(tmp_path)
    stored: dict[str, Tensor] = {}
    meant: dict[str, Tensor] = {}
    for name, weight in load_file(tmp_path / "model.safetensors").items():
        if not name.endswith(("experts.gate_up_proj", "experts.down_proj")):
            stored[name] = meant[name] = weight
            continue
        experts, inputs, outputs = weight.shape
        blocks = torch.randint(0, 256, (experts, outputs, inputs // 32, 16), dtype=torch.uint8)
        scales = torch.randint(120, 130, (experts, outputs, inputs // 32), dtype=torch.uint8)
        numbers = torch.stack([FP4[(blocks & 15).long()], FP4[(blocks >> 4).long()]], dim=-1).flatten(-2)
        numbers = numbers * 2.0 ** (scales.float() - 127)[..., None]
        stored |= {f"{name}_blocks": blocks, f"{name}_scales": scales}
        meant[name] = numbers.reshape(experts, outputs, inputs).transpose(1, 2)
    save_file(stored, tmp_path / "model.safetensors", metadata={"format": "pt"})
    quantized(tmp_path, {"quant_method": "mxfp4", "modules_to_not_convert": ["model.layers.*.self_attn", "lm_head"]})
    weights = load(tmp_path).state_dict()
    for name, weight in meant.items():
        torch.testing.assert_close(weights[name], weight, rtol=1e-6, atol=0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"quant_method": "gptq", "bits": 4},
            r"is quantised \(gptq\), which transformers cannot dequantise: .* gptqmodel",
        ),
        ({"quant_method": "awq", "bits": 4}, r"is quantised \(awq\)"),
        ({"quant_method": "torchao"}, r"is quantised \(torchao\)"),
        ({"quant_method": "quanto"}, r"is quantised \(quanto\)"),
        ({"quant_method": "no-such-method"}, r"is quantised \(no-such-method\)"),
        ({"group_size": 64, "bits": 4}, "has no quant_method"),
        ({"load_in_4bit": True}, r"is quantised \(bitsandbytes\): .* pip install bitsandbytes"),
        ({"quant_method": "bitsandbytes", "load_in_8bit": True}, "pip install bitsandbytes"),
        ({"quant_method": "compressed-tensors"}, "pip install compressed-tensors"),
    ],
)
def test_what_cannot_be_dequantised_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any], message: str
) -> None:
    monkeypatch.setattr("rankscope.models.quantization.find_spec", lambda _: None)
    folder = quantized(save_tiny(tmp_path / "tiny"), settings)
    with pytest.raises(ModelError, match=message) as caught:
        load(folder)
    assert "\n" not in str(caught.value)


def test_blocks_that_bitsandbytes_unpacks_wrongly() -> None:
    model = torch.nn.Linear(32, 48)
    model.weight.quant_state = SimpleNamespace(shape=(48, 32), blocksize=64)
    with pytest.raises(ModelError, match="the rows of weight have 32 numbers, not a multiple of the block size 64"):
        plain_weights(model, LlamaConfig(quantization_config={"load_in_4bit": True}), "tiny", torch.float32)


@pytest.mark.parametrize("dtype", [torch.int8, torch.float8_e4m3fn])
def test_weights_that_are_not_plain_numbers(dtype: torch.dtype) -> None:
    model = torch.nn.Linear(4, 4)
    model.weight = torch.nn.Parameter(torch.zeros(4, 4).to(dtype), requires_grad=False)
    with pytest.raises(ModelError, match="has 1 weights that are not plain numbers, first weight"):
        plain_weights(model, LlamaConfig(), "tiny", torch.float32)


def test_settings_of_a_wrong_type(tmp_path: Path) -> None:
    folder = save_tiny(tmp_path / "tiny")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"quantization_config": "int4"}))
    with pytest.raises(ModelError, match="quantization_config|cannot load"):
        load(folder)
