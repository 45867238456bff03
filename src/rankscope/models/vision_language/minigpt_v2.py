"""MiniGPT-v2, which transformers does not include, built from parts that it does.

The vision model of BLIP-2 (EVA-ViT-g/14) at 448 pixels with interpolated positions, without its class token; four
neighbouring tokens joined into one; a linear layer; Llama. Weights come from the published files: `eva_vit_g.pth`,
the MiniGPT-v2 checkpoint with `llama_proj` and the language model's low-rank updates, and Llama-2-chat.

Source: Chen et al. 2023, arXiv 2310.09478, and the layout of its published checkpoint.
"""

from __future__ import annotations

import pickle
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from rankscope.errors import ModelError, first_line
from rankscope.models.loading import describe_model, load_model
from rankscope.models.low_rank import add_low_rank, is_low_rank
from rankscope.models.placement import Placement
from rankscope.models.reference import parse_model_reference

if TYPE_CHECKING:
    from transformers import Blip2VisionConfig, LlamaForCausalLM, PretrainedConfig, PreTrainedModel

_PREFIX = "minigpt-v2="
_JOINED = 4
_LOW_RANK_ALPHA = 16.0
_IMAGE_SIDE = 448
_BLOCKS = 39
_LN_VISION_EPS = 1e-5
_MEAN, _SD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
# Sizes of EVA-ViT-g that cannot be inferred from a file's tensors: the width of a head.
_HEAD_WIDTH = 88
_SHOW_SIZES = ("patch_embed.proj.weight", "pos_embed", "blocks.0.mlp.fc1.weight")
_IN_BLIP2 = {
    "cls_token": "embeddings.class_embedding",
    "pos_embed": "embeddings.position_embedding",
    "patch_embed.proj": "embeddings.patch_embedding",
    "norm1": "layer_norm1",
    "norm2": "layer_norm2",
    "attn.qkv": "self_attn.qkv",
    "attn.proj": "self_attn.projection",
    "mlp.fc1": "mlp.fc1",
    "mlp.fc2": "mlp.fc2",
}
_LLAMA = "llama_model.base_model.model."


@dataclass
class MiniGPTv2Config:
    """The sizes of its parts."""

    vision_config: Blip2VisionConfig
    text_config: PretrainedConfig
    joined_tokens: int = _JOINED
    model_type: str = "minigpt_v2"

    @property
    def image_token_id(self) -> int:
        """Outside the vocabulary: it marks an image's place and is never embedded."""
        return int(self.text_config.vocab_size)

    def get_text_config(self) -> PretrainedConfig:
        """The language model's configuration."""
        return self.text_config


class MiniGPTv2(nn.Module):
    """The model, for inference only; its `forward` is compatible with transformers' vision-language models.

    Attributes:
        left_over: tensors of the published files that the model does not use.
    """

    def __init__(self, config: MiniGPTv2Config, language_model: LlamaForCausalLM) -> None:
        from transformers import Blip2VisionModel

        super().__init__()
        self.config = config
        self.left_over: tuple[str, ...] = ()
        self.vision_model = Blip2VisionModel(config.vision_config)
        self.vision_model.post_layernorm.eps = _LN_VISION_EPS
        width = config.joined_tokens * config.vision_config.hidden_size
        self.llama_proj = nn.Linear(width, config.text_config.hidden_size)
        self.language_model = language_model

    def encode_image(self, pixel_values: Tensor) -> Tensor:
        """Image tokens for the language model, (images, tokens, d)."""
        patches = self.vision_model(pixel_values, interpolate_pos_encoding=True).last_hidden_state[:, 1:]
        images, count, width = patches.shape
        joined = self.config.joined_tokens
        tokens: Tensor = self.llama_proj(patches.reshape(images, count // joined, width * joined))
        return tokens

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        pixel_values: Tensor | None = None,
        logits_to_keep: int = 0,
        use_cache: bool = False,
    ) -> Any:
        """The language model's output for tokens with the image inserted."""
        places = input_ids == self.config.image_token_id
        embeddings = self.language_model.get_input_embeddings()(input_ids.masked_fill(places, 0))
        if pixel_values is not None:
            tokens = self.encode_image(pixel_values.to(self.llama_proj.weight.dtype)).flatten(0, 1)
            embeddings = embeddings.masked_scatter(places[..., None], tokens.to(embeddings))
        return self.language_model(
            inputs_embeds=embeddings,
            attention_mask=attention_mask,
            logits_to_keep=logits_to_keep,
            use_cache=use_cache,
        )


@dataclass
class Placed:
    """The tensors of a file, assigned to the model.

    Attributes:
        weights: under the model's names.
        left_over: names that the model does not use, such as the last block of EVA-ViT-g.
    """

    weights: dict[str, Tensor] = field(default_factory=dict)
    left_over: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class MiniGPTv2Files:
    """The locations of the weights.

    Attributes:
        llama: the language model's reference.
        vision: `eva_vit_g.pth`.
        checkpoint: the MiniGPT-v2 checkpoint.
    """

    llama: str
    vision: Path
    checkpoint: Path

    def config(self, text_config: PretrainedConfig) -> MiniGPTv2Config:
        """The sizes of the parts; those of the vision model are inferred from its file."""
        return config_of(read_tensors(self.vision), text_config)

    def image_processor(self, config: MiniGPTv2Config) -> Any:
        """The image preprocessing of its training: resized to a square of 448, CLIP's mean and standard deviation."""
        from transformers import BlipImageProcessorPil

        patch = config.vision_config.patch_size
        side = _IMAGE_SIDE // patch * patch
        return BlipImageProcessorPil(size={"height": side, "width": side}, image_mean=_MEAN, image_std=_SD)


def parse_minigpt_v2(text: str) -> MiniGPTv2Files | None:
    """Parses `minigpt-v2=LLAMA,EVA,CHECKPOINT`; None for any other reference.

    Raises:
        ModelError: not three parts, or a missing file.
    """
    if not text.startswith(_PREFIX):
        return None
    parts = text.removeprefix(_PREFIX).split(",")
    if len(parts) != 3:
        raise ModelError(
            f"expected {_PREFIX}LLAMA,EVA,CHECKPOINT (Llama-2-chat as a hub id or folder, eva_vit_g.pth, the "
            f"MiniGPT-v2 .pth), got {len(parts)} parts in {text!r}"
        )
    files = [Path(part) for part in parts[1:]]
    for file in files:
        if not file.is_file():
            raise ModelError(f"weight file not found: {file}")
    return MiniGPTv2Files(parts[0], files[0], files[1])


def config_of(vision: dict[str, Tensor], text_config: PretrainedConfig) -> MiniGPTv2Config:
    """Sizes inferred from the vision file's tensors; the model uses 39 of its 40 blocks.

    Raises:
        ModelError: it is not the expected file.
    """
    from transformers import Blip2VisionConfig

    if missing := [name for name in _SHOW_SIZES if name not in vision]:
        raise ModelError(f"the vision model's file is not eva_vit_g.pth: it has no {missing[0]!r}")
    patches = vision["patch_embed.proj.weight"]
    width, patch = patches.shape[0], patches.shape[-1]
    blocks = 1 + max(int(name.split(".")[1]) for name in vision if name.startswith("blocks."))
    grid = round((vision["pos_embed"].shape[1] - 1) ** 0.5)
    sizes = Blip2VisionConfig(
        hidden_size=width,
        intermediate_size=vision["blocks.0.mlp.fc1.weight"].shape[0],
        num_hidden_layers=min(_BLOCKS, blocks),
        num_attention_heads=max(1, width // _HEAD_WIDTH),
        patch_size=patch,
        image_size=grid * patch,
    )
    return MiniGPTv2Config(sizes, text_config)


def load_minigpt_v2(files: MiniGPTv2Files, config: MiniGPTv2Config, placement: Placement) -> PreTrainedModel:
    """The model from its three parts, in eval mode.

    Raises:
        ModelError: a part is missing or does not fit, or the checkpoint has an unused tensor.
    """
    description = describe_model(parse_model_reference(files.llama))
    language_model = load_model(description, Placement(placement.dtype, "cpu"))
    model = MiniGPTv2(config, language_model).to(placement.torch_dtype)
    seeing, changing = place_vision(read_tensors(files.vision), config), read_tensors(files.checkpoint)
    low_rank = {name: tensor for name, tensor in changing.items() if is_low_rank(name)}
    add_low_rank(model.language_model, low_rank, _LOW_RANK_ALPHA, prefix=_LLAMA)
    rest = place_checkpoint({name: tensor for name, tensor in changing.items() if name not in low_rank})
    weights = seeing.weights | rest.weights
    if rest.left_over:
        raise ModelError(f"{files.checkpoint} has tensors that MiniGPT-v2 does not use: {_some(rest.left_over)}")
    report = model.load_state_dict(weights, strict=False)
    # ln_vision is in no published file: it keeps its initial values.
    made = {f"vision_model.post_layernorm.{name}" for name in ("weight", "bias")}
    missing = [name for name in report.missing_keys if not name.startswith("language_model.") and name not in made]
    if missing or report.unexpected_keys:
        raise ModelError(
            f"the files of MiniGPT-v2 do not fit: missing {_some(missing)}; {_some(report.unexpected_keys)} unknown"
        )
    model.left_over = tuple(seeing.left_over)
    return model.eval()


def place_vision(tensors: dict[str, Tensor], config: MiniGPTv2Config) -> Placed:
    """EVA-ViT-g's tensors under the names of BLIP-2's vision model.

    Queries and values have a bias, keys do not: their part of the joint bias is zero.
    """
    placed = Placed()
    blocks = config.vision_config.num_hidden_layers
    for name, tensor in tensors.items():
        parts = name.split(".")
        block = int(parts[1]) if parts[0] == "blocks" else None
        where = f"vision_model.encoder.layers.{block}." if block is not None else "vision_model."
        inside = ".".join(parts[2:]) if block is not None else name
        if block is not None and block >= blocks:
            placed.left_over.append(name)
        elif inside == "attn.q_bias":
            values = tensors[f"blocks.{block}.attn.v_bias"]
            placed.weights[f"{where}self_attn.qkv.bias"] = torch.cat([tensor, torch.zeros_like(tensor), values])
        elif inside == "attn.v_bias":
            continue  # joined with that of the queries
        elif inside in _IN_BLIP2:
            placed.weights[where + _IN_BLIP2[inside]] = tensor
        elif (stem := inside.rpartition(".")[0]) in _IN_BLIP2:
            placed.weights[f"{where}{_IN_BLIP2[stem]}.{parts[-1]}"] = tensor
        else:
            placed.left_over.append(name)
    return placed


def place_checkpoint(tensors: dict[str, Tensor]) -> Placed:
    """The rest of the checkpoint: the linear layer, and the norm after the vision tower if it is stored."""
    placed = Placed()
    for name, tensor in tensors.items():
        if name in ("llama_proj.weight", "llama_proj.bias"):
            placed.weights[name] = tensor
        elif name in ("ln_vision.weight", "ln_vision.bias"):
            placed.weights[f"vision_model.post_layernorm.{name.partition('.')[2]}"] = tensor
        else:
            placed.left_over.append(name)
    return placed


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a pickled file, read without running code in it.

    Raises:
        ModelError: not such a file, or it contains more than tensors and plain values.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        raise ModelError(f"{path} cannot be read as plain weights: {first_line(error)}") from error
    content = content.get("model", content) if isinstance(content, dict) else content
    if not isinstance(content, dict) or not all(isinstance(value, Tensor) for value in content.values()):
        raise ModelError(f"{path} has no weights: expected names with tensors, at the top level or under 'model'")
    return content


def _some(names: list[str]) -> str:
    return f"{len(names)} ({', '.join(names[:3])}{', ...' if len(names) > 3 else ''})" if names else "none"
