"""Network settings in a GGUF file that transformers' reader ignores: applied, or refused by name.

transformers reads about ten entries of each architecture's metadata and leaves the others at the defaults of the
configuration class (`GGUF_CONFIG_MAPPING`). Each entry of a file is checked here against the configuration.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rankscope.errors import ModelError
from rankscope.models.gguf.rope import BASE, rope_scaling

if TYPE_CHECKING:
    from collections.abc import Mapping

    from transformers import PretrainedConfig

    from rankscope.models.gguf.header import GgufHeader

# transformers reads these completely, with dedicated functions (integrations/gguf/gguf_config_mapping.py).
_READ_WHOLE = ("qwen35", "qwen35moe", "lfm2")
# Entries and their names in transformers' configurations; the first name that a configuration has is set.
_ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "vocab_size": ("vocab_size",),
    "context_length": ("max_position_embeddings", "n_positions"),
    "embedding_length": ("hidden_size",),
    "block_count": ("num_hidden_layers", "num_layers"),
    "feed_forward_length": ("ffn_hidden_size", "n_inner", "intermediate_size", "d_ff"),
    "attention.head_count": ("num_attention_heads",),
    "attention.head_count_kv": ("num_kv_heads", "num_key_value_heads"),
    "attention.layer_norm_epsilon": ("layer_norm_epsilon", "layer_norm_eps", "norm_eps", "norm_epsilon"),
    "attention.layer_norm_rms_epsilon": ("rms_norm_eps", "norm_eps", "layer_norm_epsilon", "norm_epsilon"),
    "attention.relative_buckets_count": ("relative_attention_num_buckets",),
    "attn_logit_softcapping": ("attn_logit_softcapping",),
    "final_logit_softcapping": ("final_logit_softcapping",),
    "logit_scale": ("logit_scale",),
    "residual_scale": ("residual_multiplier",),
    "embedding_scale": ("embedding_multiplier",),
    "attention.scale": ("attention_multiplier",),
    "use_parallel_residual": ("use_parallel_residual",),
    "expert_count": ("num_experts", "num_local_experts"),
    "expert_used_count": ("num_experts_per_tok",),
    "expert_feed_forward_length": ("moe_intermediate_size", "intermediate_size"),
    "expert_shared_feed_forward_length": ("shared_expert_intermediate_size",),
    "expert_weights_norm": ("norm_topk_prob",),
    "expert_weights_scale": ("routed_scaling_factor",),
    "ssm.conv_kernel": ("conv_kernel",),
    "ssm.inner_size": ("intermediate_size",),
    "ssm.state_size": ("state_size",),
    "ssm.time_step_rank": ("time_step_rank",),
}
# Values without effect on a network whose configuration has no name for the entry.
_NEUTRAL: dict[str, tuple[object, ...]] = {
    "attn_logit_softcapping": (0.0,),
    "final_logit_softcapping": (0.0,),
    "router_logit_softcapping": (0.0,),
    "logit_scale": (0.0, 1.0),
    "residual_scale": (0.0, 1.0),
    "embedding_scale": (0.0, 1.0),
    "attention.scale": (0.0,),
    "attention.output_scale": (0.0, 1.0),
    "attention.clamp_kqv": (0.0,),
    "attention.max_alibi_bias": (0.0,),
    "attention.temperature_scale": (0.0,),
    "attention.temperature_length": (0,),
    "attention.shared_kv_layers": (0,),
    "attention.causal": (True,),
    "attention.head_count": (0,),
    "attention.head_count_kv": (0,),
    "expert_gating_func": (0, 1),
    "use_parallel_residual": (False,),
    "expert_count": (0,),
    "expert_used_count": (0,),
    "expert_shared_count": (0,),
    "expert_group_count": (0, 1),
    "expert_group_used_count": (0, 1),
    "expert_weights_scale": (0.0, 1.0),
    "expert_weights_norm": (False,),
    "leading_dense_block_count": (0,),
    "nextn_predict_layers": (0,),
    "rescale_every_n_layers": (0,),
    "swin_norm": (False,),
    "ssm.dt_b_c_rms": (False,),
    "tensor_data_layout": ("Meta AI original pth",),
}
# Sizes that are also given by the shapes of the weights: a mismatch is refused when these are loaded.
_SIZES = ("vocab_size", "context_length", "embedding_length", "feed_forward_length")
_NO_EFFECT = (
    "pooling_type",
    "rope.dimension_sections",  # positions of text are the same in all sections
    "decoder_start_token_id",
    "attention.group_norm_groups",
)
_HEADS = ("attention.key_length", "attention.value_length")
_KNOWN_ROPE = ("rope.freq_base", "rope.scal", "rope.dimension_count", "rope.dimension_sections")
_READ_AS_A_WORD = ("expert_gating_func", "minimax_m2")
# Architectures whose networks use the sliding window stated in the file.
_WINDOWS = ("phi3", "starcoder2", "mistral", "gemma2", "gemma3_text", "gpt_oss")
_PARTLY_ROTARY = ("phi3", "stablelm", "nemotron", "gpt_neox", "phi", "persimmon")
# The largest Gemmas divide by the width of a head instead of the key's length; the number of blocks identifies
# them (llama.cpp, src/llama-model.cpp: f_attention_scale).
_SCALED_BY_WIDTH = {"gemma2": 46, "gemma3_text": 62}


def apply_settings(config: PretrainedConfig, header: GgufHeader) -> None:
    """Applies settings of a file that are missing in the configuration.

    Args:
        config: as transformers read it from the file; changed in place.
        header: of the file.

    Raises:
        ModelError: the file states something that transformers' class cannot do, or holds no language model.
    """
    if (kind := header.metadata.get("general.type", "model")) != "model":
        raise ModelError(f"{header.path} is not a model but a GGUF file of type {kind!r}: use the model's own file")
    prefix = f"{header.architecture}."
    settings = {key.removeprefix(prefix): value for key, value in header.metadata.items() if key.startswith(prefix)}
    if header.architecture not in _READ_WHOLE:
        if config.model_type == "mistral":
            config.sliding_window = None  # the class default is 4,096; the file's value is set below
        for key, value in settings.items():
            if not key.startswith("rope.") and key not in _HEADS and key not in _NO_EFFECT:
                _apply(config, header, key, value)
        _apply_heads(config, header, settings)
    _apply_rope(config, header, settings)


def _apply(config: PretrainedConfig, header: GgufHeader, key: str, value: Any) -> None:
    if isinstance(value, list) and value and all(entry == value[0] for entry in value):
        value = value[0]
    if key == "attention.sliding_window":
        if config.model_type in _WINDOWS:
            config.sliding_window = value or None
            return
        if not value or value >= (getattr(config, "max_position_embeddings", None) or 0):
            return
    name = next((name for name in _ATTRIBUTES.get(key, ()) if hasattr(config, name)), None)
    if (key in _SIZES and (name is None or not value)) or (key, config.model_type) == _READ_AS_A_WORD:
        return
    if isinstance(value, list) or (name is None and value not in _NEUTRAL.get(key, ())):
        raise ModelError(
            f"{header.path} states {header.architecture}.{key} = {_shortened(value)}, which transformers' "
            f"{type(config).__name__} does not read from a GGUF file: measure the original checkpoint instead"
        )
    if name is not None and getattr(config, name) != value:
        setattr(config, name, value)


def _apply_heads(config: PretrainedConfig, header: GgufHeader, settings: Mapping[str, Any]) -> None:
    keys = settings.get("attention.key_length")
    if keys is not None and hasattr(config, "head_dim"):
        config.head_dim = keys
    width = head_width(config)
    for key in _HEADS:
        if width is not None and settings.get(key, width) != width:
            raise ModelError(
                f"{header.path} states {header.architecture}.{key} = {settings[key]!r}, but transformers' "
                f"{type(config).__name__} has heads of {width}: measure the original checkpoint instead"
            )
    blocks = _SCALED_BY_WIDTH.get(config.model_type)
    if blocks is not None and width is not None:
        by_width = config.num_hidden_layers == blocks
        config.query_pre_attn_scalar = config.hidden_size // config.num_attention_heads if by_width else width


def head_width(config: PretrainedConfig) -> int | None:
    """The length of one head's query; None if a network has no attention."""
    if width := getattr(config, "head_dim", None):
        return int(width)
    heads = getattr(config, "num_attention_heads", None)
    return int(config.hidden_size // heads) if heads else None


def _apply_rope(config: PretrainedConfig, header: GgufHeader, settings: Mapping[str, Any]) -> None:
    scaling = rope_scaling(header, settings, int(getattr(config, "max_position_embeddings", None) or 0) or 1)
    parameters = getattr(config, "rope_parameters", None)
    if not isinstance(parameters, dict):
        if scaling["rope_type"] != "default":
            raise ModelError(
                f"{header.path} scales rotary frequencies, which transformers' {type(config).__name__} does not support"
            )
        return
    by_layer = {kind: value for kind, value in parameters.items() if isinstance(value, dict)}
    base = {"rope_theta": float(settings.get("rope.freq_base", BASE))}
    if by_layer:  # scaling applies to layers with full attention; the others have their own base
        local = {"rope_theta": float(settings.get("rope.freq_base_swa", BASE))}
        full = _unscaled(by_layer["full_attention"]) | base | scaling
        config.rope_parameters = {
            kind: full if kind == "full_attention" else value | local for kind, value in by_layer.items()
        }
    else:
        if (local_base := settings.get("rope.freq_base_swa", base["rope_theta"])) != base["rope_theta"]:
            raise ModelError(
                f"{header.path} states rope.freq_base_swa = {local_base}, but does not say for which layers"
            )
        config.rope_parameters = _unscaled(parameters) | base | scaling
        _apply_rotary_width(config, header, settings)
    _check_factors(config, header, scaling)
    if "original_max_position_embeddings" in scaling and hasattr(config, "original_max_position_embeddings"):
        config.original_max_position_embeddings = scaling["original_max_position_embeddings"]
    if unknown := sorted(key for key in settings if key.startswith("rope.") and not key.startswith(_KNOWN_ROPE)):
        raise ModelError(f"{header.path} states {header.architecture}.{unknown[0]}, which is not supported")


def _check_factors(config: PretrainedConfig, header: GgufHeader, scaling: Mapping[str, Any]) -> None:
    width = head_width(config)
    for name in ("short_factor", "long_factor"):
        if name in scaling and width is not None:
            rotated = int(width * config.rope_parameters.get("partial_rotary_factor", 1.0))
            if len(scaling[name]) != rotated // 2:
                raise ModelError(f"{header.path} has {len(scaling[name])} factors for {rotated // 2} frequencies")


def _unscaled(parameters: Mapping[str, Any]) -> dict[str, Any]:
    kept = ("rope_theta", "partial_rotary_factor", "truncate", "mrope_section", "mrope_interleaved")
    return {name: value for name, value in parameters.items() if name in kept}


def _apply_rotary_width(config: PretrainedConfig, header: GgufHeader, settings: Mapping[str, Any]) -> None:
    width, stated = head_width(config), settings.get("rope.dimension_count")
    if header.architecture in _READ_WHOLE or width is None or stated is None or config.model_type == "minimax_m2":
        return
    if int(width * config.rope_parameters.get("partial_rotary_factor", 1.0)) == stated:
        return
    if config.model_type not in _PARTLY_ROTARY:
        raise ModelError(
            f"{header.path} rotates {stated} of a head's {width} dimensions, which transformers' "
            f"{type(config).__name__} cannot do: measure the original checkpoint instead"
        )
    config.rope_parameters = config.rope_parameters | {"partial_rotary_factor": stated / width}
    if hasattr(config, "partial_rotary_factor"):
        config.partial_rotary_factor = stated / width


def _shortened(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
