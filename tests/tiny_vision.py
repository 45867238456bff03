"""Tiny vision-language models of each family, with random weights, on disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from PIL import Image
from transformers import AutoModelForImageTextToText, PreTrainedTokenizerFast

from tiny import tiny_tokenizer

SPECIAL = (
    "<image>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<img>",
    "</img>",
    "<fake_token_around_image>",
    "<global-img>",
)
VOCABULARY = 400
_TEXT = {
    "vocab_size": VOCABULARY, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3,
    "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8, "max_position_embeddings": 512,
    "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 2,
}  # fmt: skip
_VISION = {
    "hidden_size": 24, "intermediate_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4,
    "image_size": 32, "patch_size": 8,
}  # fmt: skip
_QWEN_ROPE = {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [1, 1, 2]}


def tokenizer_with_markers() -> PreTrainedTokenizerFast:
    tokenizer = tiny_tokenizer()
    tokenizer.add_special_tokens({"additional_special_tokens": list(SPECIAL)})
    return tokenizer


def _marker(name: str) -> int:
    return int(tokenizer_with_markers().convert_tokens_to_ids(name))


def tiny_config(name: str) -> Any:
    t, image = transformers, _marker("<image>")
    clip = t.CLIPVisionConfig(**_VISION)
    siglip = t.SiglipVisionConfig(**_VISION)
    if name == "llava":
        return t.LlavaConfig(vision_config=clip, text_config=t.LlamaConfig(**_TEXT), image_token_index=image)
    if name == "llava_next":
        return t.LlavaNextConfig(
            vision_config=clip, text_config=t.LlamaConfig(**_TEXT), image_token_index=image,
            image_grid_pinpoints=[[32, 64], [64, 32], [64, 64]],
        )  # fmt: skip
    if name == "paligemma":
        gemma = t.GemmaConfig(**_TEXT)
        return t.PaliGemmaConfig(vision_config=siglip, text_config=gemma, image_token_index=image, projection_dim=32)
    if name == "idefics3":
        vision = t.models.idefics3.configuration_idefics3.Idefics3VisionConfig(**_VISION)
        return t.Idefics3Config(
            vision_config=vision, text_config=t.LlamaConfig(**_TEXT), image_token_id=image, scale_factor=2,
            pad_token_id=2,
        )  # fmt: skip
    if name == "smolvlm":
        vision = t.models.smolvlm.configuration_smolvlm.SmolVLMVisionConfig(**_VISION)
        return t.SmolVLMConfig(
            vision_config=vision, text_config=t.LlamaConfig(**_TEXT), image_token_id=image, scale_factor=2,
            pad_token_id=2,
        )  # fmt: skip
    if name == "internvl":
        vision = t.InternVLVisionConfig(**_VISION | {"image_size": [32, 32], "patch_size": [8, 8]})
        return t.InternVLConfig(
            vision_config=vision, text_config=t.Qwen2Config(**_TEXT), image_token_id=image, downsample_ratio=0.5
        )
    markers = {
        "image_token_id": image, "vision_start_token_id": _marker("<|vision_start|>"),
        "vision_end_token_id": _marker("<|vision_end|>"), "video_token_id": VOCABULARY - 1,
    }  # fmt: skip
    text = _TEXT | {"rope_parameters": _QWEN_ROPE}
    if name == "qwen2_vl":
        vision = {"depth": 3, "embed_dim": 32, "hidden_size": 32, "num_heads": 4, "mlp_ratio": 2, "patch_size": 8}
        return t.Qwen2VLConfig(vision_config=vision, text_config=text, **markers)
    vision = {
        "depth": 3, "hidden_size": 32, "out_hidden_size": 32, "num_heads": 4, "intermediate_size": 32,
        "patch_size": 8, "window_size": 32, "fullatt_block_indexes": [2],
    }  # fmt: skip
    return t.Qwen2_5_VLConfig(vision_config=vision, text_config=text, **markers)


def image_processor(name: str) -> Any:
    t = transformers
    square = {"height": 32, "width": 32}
    return {
        "llava": lambda: t.CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size=square),
        "llava_next": lambda: t.LlavaNextImageProcessorPil(
            size={"shortest_edge": 32}, crop_size=square, image_grid_pinpoints=[[32, 64], [64, 32], [64, 64]]
        ),
        "paligemma": lambda: t.SiglipImageProcessorPil(size=square),
        "idefics3": lambda: t.Idefics3ImageProcessorPil(
            size={"longest_edge": 64}, max_image_size={"longest_edge": 32}, do_image_splitting=True
        ),
        "smolvlm": lambda: t.SmolVLMImageProcessorPil(
            size={"longest_edge": 64}, max_image_size={"longest_edge": 32}, do_image_splitting=True
        ),
        "internvl": lambda: t.GotOcr2ImageProcessorPil(size=square, max_patches=4),
        "qwen2_vl": lambda: t.Qwen2VLImageProcessorPil(patch_size=8, merge_size=2, min_pixels=256, max_pixels=4096),
        "qwen2_5_vl": lambda: t.Qwen2VLImageProcessorPil(patch_size=8, merge_size=2, min_pixels=256, max_pixels=4096),
    }[name]()


NAMES = ("llava", "llava_next", "qwen2_vl", "qwen2_5_vl", "paligemma", "idefics3", "smolvlm", "internvl")


def save_tiny_vision(folder: Path, name: str = "llava", seed: int = 0) -> Path:
    """A model whose weights are large enough for its layers to differ clearly."""
    torch.manual_seed(seed)
    model = AutoModelForImageTextToText.from_config(tiny_config(name), dtype=torch.float32).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(4)
            elif not parameter.any():
                parameter.normal_(std=0.1)  # biases, so that leaving one out would show
    model.save_pretrained(folder)
    tokenizer_with_markers().save_pretrained(folder)
    image_processor(name).save_pretrained(folder)
    return folder


def photograph(seed: int = 0, size: tuple[int, int] = (60, 44)) -> Image.Image:
    """Smooth coloured blotches."""
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)
