"""Weights in the files that the network did not use: refused by name, unless they cannot affect a number."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from rankscope.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Collection

# Tables that older versions of modelling code saved; the network now computes them.
_TABLES = re.compile(
    r"(.*\.)?(rotary_\w+|rope)\.(inv_freq|freqs|cos_cached|sin_cached)"
    r"|(.*\.)?(attn|attention|self_attn|self_attention)\.(bias|masked_bias|causal_mask)"
    r"|(.*\.)?(position_ids|num_batches_tracked|embed_positions\.weights|(en|de)coder\.version)"
)
# Heads for other tasks, on top of the same body.
_OTHER_HEADS = re.compile(r"(score|classifier|qa_outputs|v_head|value_head|reward_head)(\..+)?")
# Parts that process images or sound: text does not pass through them.
_OTHER_INPUTS = re.compile(
    r"(model\.)?(vision_tower|vision_model|vision_encoder|visual|multi_modal_projector|mm_projector|image_newline"
    r"|embed_vision|embed_audio|audio_tower|audio_model|audio_encoder|img_processor)(\..+)?"
)
# Scales of activations and of the key-value cache: rankscope measures the network with dequantised weights, whose
# activations are not rounded.
_ACTIVATION_SCALES = re.compile(
    r".*\.(input_scale|input_zero_point|activation_scale|input_activation_scale|[kqv]_scale)"
)
_WEIGHT_SCALES = re.compile(
    r".*(weight_scale(_inv)?|_scale_inv|scales|qzeros|qweight|g_idx|SCB|absmax|quant_map|quant_state\S*|_blocks|_scales)"
)
_ADAPTER = re.compile(r".*(lora_|\.lora\.|base_layer|modules_to_save|ia3_|hada_|lokr_)\S*")
_BLOCK = re.compile(r"(.*\.)?(layers|h|blocks|block|blk)\.\d+\..+")
_NAMED = 3


def check_all_taken(name: str, unused: Collection[str], *, text_only: bool, quantized: bool) -> None:
    """Refuses weights that are in the files but not in the network.

    Args:
        name: the model's.
        unused: the weights that were not used, without those that transformers' class lists as not needed.
        text_only: the network reads only text, so parts for images and sound may be unused.
        quantized: the weights were dequantised, so scales of activations may be unused.

    Raises:
        ModelError: other weights are unused.
    """
    harmless = [_TABLES, _OTHER_HEADS]
    harmless += [_OTHER_INPUTS] if text_only else []
    harmless += [_ACTIVATION_SCALES] if quantized else []
    left = sorted(weight for weight in unused if not any(pattern.fullmatch(weight) for pattern in harmless))
    if left:
        raise ModelError(f"{name} has {described(left)} that the network does not use: {_reason(left)}")


def described(weights: Collection[str]) -> str:
    """The number of weights, and the first few names."""
    first = sorted(weights)[:_NAMED]
    more = ", ..." if len(weights) > _NAMED else ""
    return f"{len(weights)} weight{'s' if len(weights) > 1 else ''} ({', '.join(first)}{more})"


def _reason(weights: list[str]) -> str:
    if any(_ADAPTER.fullmatch(weight) for weight in weights):
        return "they belong to an adapter; move it to a folder with its adapter_config.json, and use BASE+ADAPTER"
    if any(_WEIGHT_SCALES.fullmatch(weight) for weight in weights):
        return "quantised weights cannot be read without them; config.json needs the checkpoint's quantization_config"
    if any(_BLOCK.fullmatch(weight) for weight in weights):
        return "config.json describes a smaller network (fewer blocks, no biases or other norms)"
    return "the checkpoint has another architecture than its config.json"
