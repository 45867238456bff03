from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from rankscope.errors import ModelError
from rankscope.models import Placement, describe_model, load_model, parse_model_reference
from rankscope.models.unused_weights import check_all_taken
from tiny import CONFIGURATIONS, save_tiny, tiny_config, tiny_model, tiny_tokenizer

IDS = torch.arange(20)[None]


def load(folder: Path) -> torch.nn.Module:
    return load_model(describe_model(parse_model_reference(str(folder))), Placement())


def with_weights(folder: Path, weights: dict[str, torch.Tensor]) -> Path:
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return save_tiny(tmp_path / "tiny")


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_what_transformers_saved_is_taken_whole(tmp_path: Path, name: str) -> None:
    model = load(save_tiny(tmp_path / name, name))
    with torch.no_grad():
        assert torch.equal(model(IDS).logits, tiny_model(name)(IDS).logits)


@pytest.mark.parametrize("name", ["gpt2", "opt", "gemma2"])
def test_the_body_alone_is_enough_where_the_head_is_tied(tmp_path: Path, name: str) -> None:
    """As GPT-2's and OPT's older files, whose names begin at the body."""
    tiny_model(name).base_model.save_pretrained(tmp_path)
    tiny_tokenizer().save_pretrained(tmp_path)
    with torch.no_grad():
        assert torch.equal(load(tmp_path)(IDS).logits, tiny_model(name)(IDS).logits)


def test_more_blocks_than_the_configuration(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 2}))
    with pytest.raises(ModelError, match=r"has 9 weights \(model.layers.2.input.* describes a smaller network"):
        load(folder)


def test_names_with_a_prefix_of_their_own(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    with_weights(folder, {f"module.{name}": weight for name, weight in weights.items()})
    with pytest.raises(ModelError, match=r"lacks 30 weights .*; it has 30 weights \(module\.lm_head.weight"):
        load(folder)


def test_biases_that_the_configuration_does_not_have(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    with_weights(folder, weights | {"model.layers.0.self_attn.q_proj.bias": torch.ones(32)})
    with pytest.raises(ModelError, match=r"has 1 weight \(model.layers.0.self_attn.q_proj.bias\)"):
        load(folder)


def test_low_rank_weights_beside_the_others(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    with_weights(folder, weights | {"model.layers.0.self_attn.q_proj.lora_A.weight": torch.ones(4, 32)})
    with pytest.raises(ModelError, match="they belong to an adapter; .* use BASE\\+ADAPTER"):
        load(folder)


def test_tables_heads_of_other_tasks_and_an_equal_head_change_nothing(tmp_path: Path) -> None:
    expected = tiny_model("gpt2")(IDS).logits
    folder = save_tiny(tmp_path / "gpt2", "gpt2")
    weights = load_file(folder / "model.safetensors")
    extra = {f"transformer.h.{block}.attn.bias": torch.ones(1, 1, 128, 128) for block in range(3)}
    extra |= {f"transformer.h.{block}.attn.masked_bias": torch.tensor(-1e4) for block in range(3)}
    extra |= {"score.weight": torch.ones(2, 32), "v_head.summary.weight": torch.ones(1, 32)}
    extra |= {"lm_head.weight": weights["transformer.wte.weight"].clone()}
    assert torch.equal(load(with_weights(folder, weights | extra))(IDS).logits, expected)
    llama = save_tiny(tmp_path / "llama")
    inverse = {f"model.layers.{block}.self_attn.rotary_emb.inv_freq": torch.ones(4) for block in range(3)}
    with_weights(llama, load_file(llama / "model.safetensors") | inverse)
    assert torch.equal(load(llama)(IDS).logits, tiny_model("llama")(IDS).logits)


def test_a_head_that_differs_from_the_embeddings_is_used(tmp_path: Path) -> None:
    """config.json says that both are one; the files win, in transformers as well."""
    folder = save_tiny(tmp_path / "gpt2", "gpt2")
    weights = load_file(folder / "model.safetensors")
    with_weights(folder, weights | {"lm_head.weight": 2 * weights["transformer.wte.weight"]})
    with torch.no_grad():
        torch.testing.assert_close(load(folder)(IDS).logits, 2 * tiny_model("gpt2")(IDS).logits)


@pytest.mark.parametrize(
    ("weight", "text_only", "quantized", "fine"),
    [
        ("vision_tower.blocks.0.weight", True, False, True),
        ("vision_tower.blocks.0.weight", False, False, False),
        ("model.visual.merger.weight", True, False, True),
        ("model.layers.0.mlp.up_proj.input_scale", False, True, True),
        ("model.layers.0.mlp.up_proj.input_scale", False, False, False),
        ("model.layers.0.mlp.up_proj.weight_scale", False, True, False),
        ("model.layers.0.self_attn.o_proj.bias", True, True, False),
        ("scores.weight", True, True, False),
    ],
)
def test_what_may_be_left_over(weight: str, text_only: bool, quantized: bool, fine: bool) -> None:
    if fine:
        check_all_taken("tiny", [weight], text_only=text_only, quantized=quantized)
        return
    with pytest.raises(ModelError, match=weight):
        check_all_taken("tiny", [weight], text_only=text_only, quantized=quantized)


def test_pytorchs_own_files_count_as_well(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "bin"
    shutil.copytree(folder, copy)
    weights = load_file(copy / "model.safetensors")
    (copy / "model.safetensors").unlink()
    torch.save(weights, copy / "pytorch_model.bin")
    assert torch.equal(load(copy)(IDS).logits, tiny_model("llama")(IDS).logits)
    torch.save(weights | {"model.layers.3.mlp.up_proj.weight": torch.ones(2, 2)}, copy / "pytorch_model.bin")
    with pytest.raises(ModelError, match="has 1 weight .model.layers.3.mlp.up_proj.weight."):
        load(copy)
    assert tiny_config("llama").num_hidden_layers == 3
