"""MiniGPT-v2 from small files with the names of the published ones, against the same arithmetic by hand."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import AutoModelForCausalLM, LlamaConfig

from rankscope.errors import ModelError
from rankscope.models import Placement
from rankscope.models.vision_language import (
    describe_vision_language_model,
    encode_text,
    image_input,
    text_input,
    watch_forward,
    with_text,
)
from rankscope.models.vision_language.minigpt_v2 import config_of, parse_minigpt_v2, place_vision, read_tensors
from tiny_minigpt import BLOCKS, GRID, PATCH, RANK, TARGETS, WIDTH, checkpoint_file, save_tiny_minigpt, vision_file
from tiny_vision import photograph


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> str:
    return save_tiny_minigpt(tmp_path_factory.mktemp("minigpt"))


def encode_by_hand(pixels: Tensor, tensors: dict[str, Tensor]) -> Tensor:
    """The vision transformer as its published code defines it, on one picture; (patches, width) without class token."""
    patches = F.conv2d(pixels, tensors["patch_embed.proj.weight"], tensors["patch_embed.proj.bias"], stride=PATCH)
    side = patches.shape[-1]
    hidden = torch.cat([tensors["cls_token"][0], patches.flatten(2)[0].T])
    places = tensors["pos_embed"][:, 1:].reshape(1, GRID, GRID, WIDTH).permute(0, 3, 1, 2)
    places = F.interpolate(places, size=(side, side), mode="bicubic", align_corners=False)
    hidden = hidden + torch.cat([tensors["pos_embed"][0, :1], places.flatten(2)[0].T])
    for block in range(BLOCKS):
        at = {name.split(".", 2)[2]: value for name, value in tensors.items() if name.startswith(f"blocks.{block}.")}
        normed = F.layer_norm(hidden, (WIDTH,), at["norm1.weight"], at["norm1.bias"], 1e-6)
        bias = torch.cat([at["attn.q_bias"], torch.zeros(WIDTH), at["attn.v_bias"]])
        queries, keys, values = F.linear(normed, at["attn.qkv.weight"], bias).chunk(3, dim=-1)  # one head of 88
        mixed = (queries @ keys.T / WIDTH**0.5).softmax(-1) @ values
        hidden = hidden + F.linear(mixed, at["attn.proj.weight"], at["attn.proj.bias"])
        normed = F.layer_norm(hidden, (WIDTH,), at["norm2.weight"], at["norm2.bias"], 1e-6)
        inner = F.gelu(F.linear(normed, at["mlp.fc1.weight"], at["mlp.fc1.bias"]))
        hidden = hidden + F.linear(inner, at["mlp.fc2.weight"], at["mlp.fc2.bias"])
    return F.layer_norm(hidden, (WIDTH,), eps=1e-5)[1:]  # ln_vision as it was made


@torch.inference_mode()
def test_the_image_path_equals_one_by_hand(reference: str) -> None:
    described = describe_vision_language_model(reference)
    model = described.load(Placement())
    image = image_input(described.family, described.parts, photograph(), [0])
    assert image.tensors["pixel_values"].shape == (1, 3, 448, 448)
    seen = watch_forward(model, described.family, image)
    encoded = encode_by_hand(image.tensors["pixel_values"], vision_file())
    torch.testing.assert_close(seen.after_encoder, encoded, rtol=1e-4, atol=1e-4)
    checkpoint = checkpoint_file(32)
    joined = torch.stack([encoded[start : start + 4].flatten() for start in range(0, 64, 4)])
    connected = joined @ checkpoint["llama_proj.weight"].T + checkpoint["llama_proj.bias"]
    torch.testing.assert_close(seen.after_connector, connected, rtol=1e-4, atol=1e-3)
    assert len(connected) == int(image.image.sum()) == 16


@torch.inference_mode()
def test_text_and_both_are_read_with_the_low_rank_changes(reference: str) -> None:
    described = describe_vision_language_model(reference)
    model = described.load(Placement())
    llama = AutoModelForCausalLM.from_pretrained(described.files.llama)
    checkpoint = checkpoint_file(32)
    for layer in range(3):
        for target in TARGETS:
            name = f"llama_model.base_model.model.model.layers.{layer}.self_attn.{target}"
            change = checkpoint[f"{name}.lora_B.weight"] @ checkpoint[f"{name}.lora_A.weight"] * 16 / RANK
            getattr(llama.model.layers[layer].self_attn, target).weight += change
    text = encode_text(described.parts.tokenizer, "What is it?", "A lazy dog.", 100)
    alone = watch_forward(model, described.family, text_input(text)).hidden
    torch.testing.assert_close(alone, llama.model(torch.tensor([text.ids])).last_hidden_state[0], rtol=1e-4, atol=1e-4)
    image = image_input(described.family, described.parts, photograph(), text.leading)
    both = with_text(image, text, described.parts.config.image_token_id)
    seen = watch_forward(model, described.family, both)
    embed = llama.get_input_embeddings()
    before, after = (embed(torch.tensor(described.parts.tokenizer(marker).input_ids)) for marker in ("<Img>", "</Img>"))
    sequence = torch.cat([before, seen.after_connector, after, embed(torch.tensor(text.ids))])
    by_hand = llama.model(inputs_embeds=sequence[None]).last_hidden_state[0]
    torch.testing.assert_close(seen.hidden, by_hand, rtol=1e-4, atol=1e-4)


def test_every_tensor_is_placed_or_reported(reference: str) -> None:
    described = describe_vision_language_model(reference)
    model = described.load(Placement())
    assert model.left_over == ("fc_norm.weight", "head.weight")
    given = vision_file()
    placed = place_vision(given, described.parts.config)
    for name, tensor in placed.weights.items():
        torch.testing.assert_close(model.state_dict()[name], tensor)
    joined = 2 * BLOCKS  # a bias of queries and one of values become one
    assert len(given) == len(placed.weights) + joined // 2 + len(placed.left_over)


def test_blocks_beyond_those_of_the_model_are_left_over(reference: str) -> None:
    described = describe_vision_language_model(reference)
    described.parts.config.vision_config.num_hidden_layers = BLOCKS - 1
    placed = place_vision(vision_file(), described.parts.config)
    assert sum(name.startswith(f"blocks.{BLOCKS - 1}.") for name in placed.left_over) == 13


def test_what_does_not_fit_is_named(reference: str, tmp_path: Path) -> None:
    llama, vision, checkpoint = reference.removeprefix("minigpt-v2=").split(",")
    with pytest.raises(ModelError, match=r"not eva_vit_g.pth: it has no 'patch_embed\.proj\.weight'"):
        describe_vision_language_model(f"minigpt-v2={llama},{checkpoint},{vision}")
    with pytest.raises(ModelError, match="got 2 parts"):
        describe_vision_language_model(f"minigpt-v2={llama},{vision}")
    with pytest.raises(ModelError, match="weight file not found"):
        describe_vision_language_model(f"minigpt-v2={llama},{vision},{tmp_path / 'none.pth'}")

    def refused(changes: dict[str, Tensor | None], message: str) -> None:
        tensors = checkpoint_file(32) | changes
        torch.save({name: tensor for name, tensor in tensors.items() if tensor is not None}, tmp_path / "changed.pth")
        described = describe_vision_language_model(f"minigpt-v2={llama},{vision},{tmp_path / 'changed.pth'}")
        with pytest.raises(ModelError, match=message):
            described.load(Placement())

    first = "llama_model.base_model.model.model.layers.0.self_attn.q_proj.lora_"
    refused({"q_former.weight": torch.zeros(1)}, r"does not use: 1 \(q_former\.weight\)")
    refused({f"{first}A.weight": None}, "only factor B")
    refused({f"{first}A.weight": torch.zeros(RANK, 7)}, "does not fit the model")
    refused({"llama_proj.bias": None}, r"missing 1 \(llama_proj\.bias\)")


class Hostile:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (exec, ("raise SystemExit('code of the file was run')",))


def test_pickled_code_is_not_run(tmp_path: Path) -> None:
    torch.save({"model": Hostile()}, tmp_path / "hostile.pth")
    with pytest.raises(ModelError, match="cannot be read as plain weights"):
        read_tensors(tmp_path / "hostile.pth")
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(ModelError, match="has no weights"):
        read_tensors(tmp_path / "list.pth")
    (tmp_path / "text.pth").write_text("hello")
    with pytest.raises(ModelError, match="cannot be read"):
        read_tensors(tmp_path / "text.pth")


def test_the_published_sizes() -> None:
    """Shapes of EVA-ViT-g give its configuration, without its weights."""
    tensors = {
        "patch_embed.proj.weight": torch.empty(1408, 3, 14, 14, device="meta"),
        "pos_embed": torch.empty(1, 257, 1408, device="meta"),
        "blocks.0.mlp.fc1.weight": torch.empty(6144, 1408, device="meta"),
        "blocks.39.norm1.weight": torch.empty(1408, device="meta"),
    }
    config = config_of(tensors, LlamaConfig()).vision_config
    sizes = (config.hidden_size, config.intermediate_size, config.num_hidden_layers, config.num_attention_heads)
    assert sizes == (1408, 6144, 39, 16)
    assert (config.image_size, config.patch_size) == (224, 14)


def test_the_fingerprint_covers_all_three_parts(tmp_path: Path) -> None:
    reference = save_tiny_minigpt(tmp_path)
    found = [describe_vision_language_model(reference).fingerprint]
    for file in parse_minigpt_v2(reference).vision, parse_minigpt_v2(reference).checkpoint:
        tensors = torch.load(file)
        inner = tensors.get("model", tensors)
        next(tensor for tensor in inner.values() if tensor.dim() > 1).view(-1)[7] += 1
        torch.save(tensors, file)
        found.append(describe_vision_language_model(reference).fingerprint)
    assert len(set(found)) == 3
    assert describe_vision_language_model(reference).fingerprint == found[-1]
