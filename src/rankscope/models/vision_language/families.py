"""The families of vision-language models: the location of their parts, and how an image is inserted into the input.

A description holds everything specific to a family. Which layer of the vision tower is used, and what is dropped,
joined or inserted on the way to the language model, is up to the model's own code and only observed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from rankscope.errors import ModelError, UnknownNameError

if TYPE_CHECKING:
    from PIL.Image import Image
    from transformers import PretrainedConfig, PreTrainedTokenizerBase

Tensors = dict[str, Tensor]


@dataclass(frozen=True)
class Parts:
    """The objects that turn an image into a model's input."""

    config: PretrainedConfig
    tokenizer: PreTrainedTokenizerBase
    image_processor: Any


Prepare = Callable[[Parts, "Image"], tuple[list[int], Tensors]]
"""From an image to its token ids, including markers, and the tensors that hold it."""


@dataclass(frozen=True)
class Family:
    """One family.

    Attributes:
        name: for display.
        model_types: of the configurations that belong to it.
        tower: path of the vision encoder.
        connector: path of the module that leads to the language model.
        language_model: path of the language model without its head.
        prepare: makes the image's part of the model's input.
        joins_before_connector: neighbouring tokens are joined before the connector's module, so the encoder's tokens
            are the tower's output without its class token, not the connector's input.
        image_first: the image comes before the tokenizer's leading special token.
        kinds: the name of the model's argument for each token's kind, if it has one.
        response_is_a_kind: that kind is 1 for the response; otherwise it is 1 for the image.
    """

    name: str
    model_types: tuple[str, ...]
    tower: str
    connector: str
    language_model: str
    prepare: Prepare
    joins_before_connector: bool = False
    image_first: bool = False
    kinds: str | None = None
    response_is_a_kind: bool = False


def family_of(config: PretrainedConfig) -> Family:
    """The family of a configuration.

    Raises:
        UnknownNameError: an unsupported family; the message lists the supported ones.
    """
    for family in FAMILIES:
        if config.model_type in family.model_types:
            return family
    known = [model_type for family in FAMILIES for model_type in family.model_types]
    raise UnknownNameError("kind of vision-language model", config.model_type, known)


def _pixels(parts: Parts, image: Image, **options: object) -> Tensors:
    return dict(parts.image_processor(images=[image], return_tensors="pt", **options))


def _patches(pixel_values: Tensor, patch_size: int) -> int:
    height, width = pixel_values.shape[-2:]
    return (height // patch_size) * (width // patch_size)


def _llava(parts: Parts, image: Image) -> tuple[list[int], Tensors]:
    tensors = _pixels(parts, image)
    count = _patches(tensors["pixel_values"], parts.config.vision_config.patch_size) + _first_tokens(parts.config)
    return [parts.config.image_token_id] * count, tensors


def _first_tokens(config: PretrainedConfig) -> int:
    """Tokens before the patches that reach the connector: the class token, if it exists and is not dropped."""
    class_tokens = int(config.vision_config.model_type == "clip_vision_model")
    return class_tokens - int(config.vision_feature_select_strategy == "default")


def _llava_next(parts: Parts, image: Image) -> tuple[list[int], Tensors]:
    from transformers import LlavaNextProcessor

    config = parts.config
    processor = LlavaNextProcessor(
        parts.image_processor,
        parts.tokenizer,
        patch_size=config.vision_config.patch_size,
        vision_feature_select_strategy=config.vision_feature_select_strategy,
        image_token=parts.tokenizer.convert_ids_to_tokens(config.image_token_id),
        num_additional_image_tokens=int(config.vision_config.model_type == "clip_vision_model"),
    )
    return _by_processor(processor, image)


def _idefics3(parts: Parts, image: Image) -> tuple[list[int], Tensors]:
    from transformers import Idefics3Processor

    vision = parts.config.vision_config
    patches = (vision.image_size // vision.patch_size) ** 2
    processor = Idefics3Processor(
        parts.image_processor, parts.tokenizer, image_seq_len=patches // parts.config.scale_factor**2
    )
    return _by_processor(processor, image)


def _by_processor(processor: Any, image: Image) -> tuple[list[int], Tensors]:
    found = dict(processor(text=[processor.image_token], images=[image], add_special_tokens=False, return_tensors="pt"))
    ids = found.pop("input_ids")[0].tolist()
    text_only = ("attention_mask", "token_type_ids", "rows", "cols")
    return ids, {name: value for name, value in found.items() if name not in text_only}


def _qwen_vl(parts: Parts, image: Image) -> tuple[list[int], Tensors]:
    tensors = _pixels(parts, image)
    config = parts.config
    count = int(tensors["image_grid_thw"].prod()) // config.vision_config.spatial_merge_size**2
    return [config.vision_start_token_id, *[config.image_token_id] * count, config.vision_end_token_id], tensors


def _paligemma(parts: Parts, image: Image) -> tuple[list[int], Tensors]:
    tensors = _pixels(parts, image)
    count = _patches(tensors["pixel_values"], parts.config.vision_config.patch_size)
    return [parts.config.image_token_id] * count, tensors


def _internvl(parts: Parts, image: Image) -> tuple[list[int], Tensors]:
    # Its processor in transformers requests tiles, whatever the image processor's own default.
    pixel_values = _pixels(parts, image, crop_to_patches=True)["pixel_values"]
    patch_size = parts.config.vision_config.patch_size
    patch_size = patch_size[0] if isinstance(patch_size, (list, tuple)) else patch_size
    joined = round(_patches(pixel_values, patch_size) * parts.config.downsample_ratio**2)
    start, end = (marker_id(parts.tokenizer, marker) for marker in ("<img>", "</img>"))
    ids = [start, *[parts.config.image_token_id] * (joined * len(pixel_values)), end]
    return ids, {"pixel_values": pixel_values}


def marker_id(tokenizer: PreTrainedTokenizerBase, marker: str) -> int:
    """The id of a special token.

    Raises:
        ModelError: the tokenizer has no such token.
    """
    found = tokenizer.convert_tokens_to_ids(marker)
    if found is None or found == tokenizer.unk_token_id:
        raise ModelError(
            f"the tokenizer has no token {marker!r} to mark the place of an image: does it belong to another model?"
        )
    return int(found)


def _minigpt_v2(parts: Parts, image: Image) -> tuple[list[int], Tensors]:
    tensors = _pixels(parts, image)
    before, after = (parts.tokenizer(marker, add_special_tokens=False).input_ids for marker in ("<Img>", "</Img>"))
    config = parts.config
    joined = _patches(tensors["pixel_values"], config.vision_config.patch_size) // config.joined_tokens
    return [*before, *[config.image_token_id] * joined, *after], tensors


def module_at(model: torch.nn.Module, path: str) -> torch.nn.Module:
    """The module at a path.

    Raises:
        ModelError: there is no such module.
    """
    try:
        return model.get_submodule(path)
    except AttributeError as error:
        raise ModelError(
            f"{type(model).__name__} has no module {path}: was it made for another version of transformers?"
        ) from error


_VISION_TOWER = ("model.vision_tower", "model.multi_modal_projector", "model.language_model")
_VISUAL = ("model.visual", "model.visual.merger", "model.language_model")

FAMILIES: tuple[Family, ...] = (
    Family("LLaVA-1.5", ("llava",), *_VISION_TOWER, _llava),
    Family("LLaVA-NeXT", ("llava_next",), *_VISION_TOWER, _llava_next),
    Family("Qwen2-VL", ("qwen2_vl",), *_VISUAL, _qwen_vl, kinds="mm_token_type_ids"),
    Family("Qwen2.5-VL", ("qwen2_5_vl",), *_VISUAL, _qwen_vl, kinds="mm_token_type_ids"),
    Family(
        "PaliGemma", ("paligemma",), *_VISION_TOWER, _paligemma,
        image_first=True, kinds="token_type_ids", response_is_a_kind=True,
    ),
    Family(
        "Idefics3 and SmolVLM", ("idefics3", "smolvlm"),
        "model.vision_model", "model.connector", "model.text_model", _idefics3,
    ),
    Family("InternVL", ("internvl",), *_VISION_TOWER, _internvl, joins_before_connector=True),
    Family(
        "MiniGPT-v2", ("minigpt_v2",),
        "vision_model", "llama_proj", "language_model.model", _minigpt_v2, joins_before_connector=True,
    ),
)  # fmt: skip
"""All supported families."""
