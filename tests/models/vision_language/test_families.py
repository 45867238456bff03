"""How an image stands in a model's input, against transformers' own processors where these need no torchvision."""

from __future__ import annotations

from typing import Any

import pytest
import transformers

from rankscope.errors import ModelError
from rankscope.models.vision_language import FAMILIES, Parts, family_of
from rankscope.models.vision_language.families import marker_id, module_at
from tiny_vision import NAMES, image_processor, photograph, tiny_config, tokenizer_with_markers


def parts_of(name: str) -> Parts:
    return Parts(tiny_config(name), tokenizer_with_markers(), image_processor(name))


def prepared(name: str, size: tuple[int, int] = (60, 44)) -> tuple[list[int], dict[str, Any]]:
    parts = parts_of(name)
    return family_of(parts.config).prepare(parts, photograph(size=size))


def test_each_configuration_has_its_family() -> None:
    for name in NAMES:
        assert name in family_of(tiny_config(name)).model_types
    described = {model_type for family in FAMILIES for model_type in family.model_types}
    assert described == {*NAMES, "minigpt_v2"}


def test_llava_as_its_processor_has_it() -> None:
    tokenizer = tokenizer_with_markers()
    processor = transformers.LlavaProcessor(
        image_processor("llava"), tokenizer, patch_size=8, vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
    )  # fmt: skip
    own = processor(text=["<image>"], images=[photograph()], return_tensors="pt")
    ids, tensors = prepared("llava")
    assert ids == own["input_ids"][0].tolist()
    assert (tensors["pixel_values"] == own["pixel_values"]).all()


def test_paligemma_as_its_processor_has_it() -> None:
    images, tokenizer = image_processor("paligemma"), tokenizer_with_markers()
    images.image_seq_length = 16
    own = transformers.PaliGemmaProcessor(images, tokenizer)(text=["<image>"], images=[photograph()])
    ids, _ = prepared("paligemma")
    # Its processor writes the start token after the image, then the prompt and a line feed.
    assert own["input_ids"][0][: len(ids) + 1] == [*ids, tokenizer.bos_token_id]
    assert family_of(tiny_config("paligemma")).image_first


def test_qwen_s_image_stands_between_its_markers() -> None:
    ids, tensors = prepared("qwen2_vl")
    config = tiny_config("qwen2_vl")
    _, height, width = tensors["image_grid_thw"][0].tolist()
    assert ids == [
        config.vision_start_token_id, *[config.image_token_id] * (height * width // 4), config.vision_end_token_id
    ]  # fmt: skip


def test_internvl_has_tiles_and_markers() -> None:
    ids, tensors = prepared("internvl")
    tiles = len(tensors["pixel_values"])
    assert tiles > 1
    assert ids.count(tiny_config("internvl").image_token_id) == tiles * 4
    assert (ids[0], ids[-1]) == tuple(marker_id(tokenizer_with_markers(), marker) for marker in ("<img>", "</img>"))


@pytest.mark.parametrize("size", [(64, 64), (40, 90), (90, 40)])
def test_idefics_marks_rows_and_columns(size: tuple[int, int]) -> None:
    ids, tensors = prepared("idefics3", size)
    tokenizer = tokenizer_with_markers()
    text = tokenizer.decode(ids)
    assert text.startswith("<fake_token_around_image>")
    assert "<row_1_col_1>" in text
    assert ids.count(tokenizer.convert_tokens_to_ids("<image>")) == tensors["pixel_values"].shape[1] * 4


def test_missing_parts_are_named() -> None:
    with pytest.raises(ModelError, match="has no token '<other>'"):
        marker_id(tokenizer_with_markers(), "<other>")
    with pytest.raises(ModelError, match=r"Linear has no module model\.vision_tower"):
        module_at(transformers.pytorch_utils.nn.Linear(1, 1), "model.vision_tower")
