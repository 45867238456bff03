"""Each family's five representations against its parts called by hand, or its own list of hidden states."""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import LlavaForConditionalGeneration

from oracle import oracle_entropy
from rankscope.metrics import effective_rank
from rankscope.models import Placement
from rankscope.models.vision_language import (
    Parts,
    UnusablePairError,
    VisionLanguageModel,
    describe_vision_language_model,
    encode_text,
    family_of,
    image_input,
    text_input,
    watch_forward,
    with_text,
)
from tiny_vision import NAMES, image_processor, photograph, save_tiny_vision, tiny_config, tokenizer_with_markers

INSTRUCTION, RESPONSE = "What do you see?", "A quick brown fox that jumps over the lazy dog."


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Any:
    @cache
    def load(name: str) -> tuple[VisionLanguageModel, Any]:
        folder = save_tiny_vision(tmp_path_factory.mktemp(name) / "model", name)
        described = describe_vision_language_model(str(folder))
        return described, described.load(Placement())

    return load


def inputs(described: VisionLanguageModel) -> Any:
    text = encode_text(described.parts.tokenizer, INSTRUCTION, RESPONSE, 100)
    image = image_input(described.family, described.parts, photograph(), text.leading)
    return image, text_input(text), with_text(image, text, described.parts.config.image_token_id)


def arguments(described: VisionLanguageModel, given: Any) -> dict[str, torch.Tensor]:
    ids = given.ids[None]
    found = {"input_ids": ids, "attention_mask": torch.ones_like(ids), **given.tensors}
    if described.family.kinds == "mm_token_type_ids":
        found["mm_token_type_ids"] = given.image[None].int()
    elif described.family.kinds == "token_type_ids":
        kinds = torch.zeros_like(ids)
        if given.response:
            kinds[:, -given.response :] = 1
        found["token_type_ids"] = kinds
    return found


@pytest.mark.parametrize("name", NAMES)
@torch.inference_mode()
def test_hidden_states_of_image_text_and_both(name: str, loaded: Any) -> None:
    described, model = loaded(name)
    for given in inputs(described):
        seen = watch_forward(model, described.family, given)
        own = model(**arguments(described, given), output_hidden_states=True)
        torch.testing.assert_close(seen.hidden, own.hidden_states[-1][0])
        torch.testing.assert_close(model.get_output_embeddings()(seen.hidden), own.logits[0].float())
        if given.image.any():
            embeddings = own.hidden_states[0][0][given.image]  # Gemma scales them, which changes no effective rank
            torch.testing.assert_close(effective_rank(seen.after_connector), effective_rank(embeddings))
        if given.response:
            targets = given.ids[-given.response :]
            loss = torch.nn.functional.cross_entropy(own.logits[0, -given.response - 1 : -1].float(), targets)
            assert seen.loss == pytest.approx(float(loss), rel=1e-5)


def encoded_by_hand(name: str, model: Any, tensors: dict[str, torch.Tensor]) -> torch.Tensor:
    """The vision encoder's tokens as they are meant, from the tower alone."""
    parts, pixels = model.model, tensors["pixel_values"]
    if name == "llava":
        return parts.vision_tower(pixels, output_hidden_states=True).hidden_states[-2][:, 1:].flatten(0, 1)
    if name == "llava_next":
        tiles = pixels[0]
        return parts.vision_tower(tiles, output_hidden_states=True).hidden_states[-2][:, 1:].flatten(0, 1)
    if name == "paligemma":
        return parts.vision_tower(pixels).last_hidden_state.flatten(0, 1)
    if name in ("idefics3", "smolvlm"):
        return parts.vision_model(pixels[0]).last_hidden_state.flatten(0, 1)
    if name == "internvl":
        return parts.vision_tower(pixels).last_hidden_state[:, 1:].flatten(0, 1)
    return parts.visual(pixels, grid_thw=tensors["image_grid_thw"]).last_hidden_state


@pytest.mark.parametrize("name", NAMES)
@torch.inference_mode()
def test_image_tokens_before_and_after_the_connector(name: str, loaded: Any) -> None:
    described, model = loaded(name)
    image, _, both = inputs(described)
    seen = watch_forward(model, described.family, image)
    by_hand = encoded_by_hand(name, model, image.tensors)
    assert seen.after_encoder.shape == by_hand.shape
    torch.testing.assert_close(effective_rank(seen.after_encoder), effective_rank(by_hand))
    together = watch_forward(model, described.family, both)
    torch.testing.assert_close(seen.after_encoder, together.after_encoder)
    torch.testing.assert_close(seen.after_connector, together.after_connector)
    assert seen.after_connector.shape == (int(image.image.sum()), 32)


@torch.inference_mode()
def test_llava_by_hand_from_pixels_to_the_five_ranks(loaded: Any) -> None:
    described, model = loaded("llava")
    image, text, both = inputs(described)
    seen = watch_forward(model, described.family, image)
    parts = model.model
    encoded = parts.vision_tower(image.tensors["pixel_values"], output_hidden_states=True).hidden_states[-2][0, 1:]
    projector = parts.multi_modal_projector
    connected = projector.linear_2(torch.nn.functional.gelu(projector.linear_1(encoded)))
    embed = parts.language_model.get_input_embeddings()
    words = embed(torch.tensor(described.parts.tokenizer(f"{INSTRUCTION}\n{RESPONSE}").input_ids))
    sequences = [connected, words, torch.cat([connected, words])]
    states = [parts.language_model(inputs_embeds=one[None]).last_hidden_state[0] for one in sequences]
    watched = [seen.after_encoder, seen.after_connector, seen.hidden]
    watched += [watch_forward(model, described.family, given).hidden for given in (text, both)]
    for one, other in zip(watched, [encoded, connected, *states], strict=True):
        assert float(effective_rank(one)) == pytest.approx(math.exp(oracle_entropy(other)), rel=1e-5)


@pytest.mark.parametrize("name", ["llava", "qwen2_vl"])
def test_layers_are_those_of_the_language_model(name: str, loaded: Any) -> None:
    described, model = loaded(name)
    _, _, both = inputs(described)
    layers: dict[int, torch.Tensor] = {}
    watch_forward(model, described.family, both, layers.__setitem__)
    with torch.inference_mode():
        own = model(**arguments(described, both), output_hidden_states=True).hidden_states
    assert sorted(layers) == [1, 2, 3]
    for layer, hidden in layers.items():
        torch.testing.assert_close(hidden, own[layer][0])


def test_hooks_are_gone_afterwards_even_after_a_failure(loaded: Any) -> None:
    described, model = loaded("llava")
    image, _, _ = inputs(described)
    hooks = [(len(module._forward_hooks), len(module._forward_pre_hooks)) for module in model.modules()]
    broken = type(image)(image.ids, image.image, image.after_image, 0, {"pixel_values": torch.zeros(1, 3, 7, 7)})
    with pytest.raises((ValueError, RuntimeError)):
        watch_forward(model, described.family, broken, lambda _layer, _hidden: None)
    assert hooks == [(len(module._forward_hooks), len(module._forward_pre_hooks)) for module in model.modules()]


@pytest.mark.parametrize("name", NAMES)
def test_half_precision(name: str, loaded: Any) -> None:
    described, model = loaded(name)
    half = described.load(Placement("bfloat16"))
    for given in inputs(described):
        seen, exact = watch_forward(half, described.family, given), watch_forward(model, described.family, given)
        assert seen.hidden.dtype == torch.bfloat16
        assert float(effective_rank(seen.hidden)) == pytest.approx(float(effective_rank(exact.hidden)), rel=0.1)


@pytest.mark.parametrize(
    ("tower", "strategy", "count"), [("clip", "full", 17), ("siglip", "full", 16), ("clip", "default", 16)]
)
def test_llava_counts_the_class_token_where_it_is_handed_on(
    tower: str, strategy: str, count: int, tmp_path: Path
) -> None:
    config = tiny_config("llava")
    if tower == "siglip":
        config.vision_config = tiny_config("paligemma").vision_config
    config.vision_feature_select_strategy = strategy
    model = LlavaForConditionalGeneration(config).eval()
    parts = Parts(config, tokenizer_with_markers(), image_processor("llava"))
    image = image_input(family_of(config), parts, photograph(), [])
    seen = watch_forward(model, family_of(config), image)
    assert len(seen.after_encoder) == len(seen.after_connector) == count


@pytest.mark.parametrize("name", NAMES)
def test_pictures_of_any_shape(name: str, loaded: Any) -> None:
    described, model = loaded(name)
    for size in ((1, 1), (3, 1), (1, 200), (31, 37), (45, 123), (150, 1)):
        image = image_input(described.family, described.parts, photograph(size=size), [0])
        assert len(watch_forward(model, described.family, image).after_connector) == int(image.image.sum()) > 0


def test_a_picture_that_the_image_processor_refuses_is_named(loaded: Any) -> None:
    described, _ = loaded("qwen2_vl")
    with pytest.raises(UnusablePairError, match="refused by the image processor: absolute aspect ratio must be"):
        image_input(described.family, described.parts, photograph(size=(400, 1)), [0])


@pytest.mark.parametrize("name", NAMES)
def test_a_text_after_the_image_leaves_the_image_s_states_alone_unless_attention_looks_ahead(
    name: str, loaded: Any
) -> None:
    described, model = loaded(name)
    image, _, both = inputs(described)
    alone, together = (watch_forward(model, described.family, given).hidden for given in (image, both))
    same = torch.allclose(alone, together[: len(alone)], atol=1e-4)
    assert same == (name != "paligemma")
