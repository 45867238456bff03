"""A tiny configuration of every class in transformers' causal mapping.

One table shrinks sizes by their names, wherever a configuration has them; a second one holds what single
architectures need besides.
"""

from __future__ import annotations

from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassClassValidationError
from transformers import CONFIG_MAPPING, AutoModelForCausalLM, PretrainedConfig, PreTrainedModel
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

VOCABULARY = 300
LONGEST = 64
MODEL_TYPES = tuple(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES)

_BY_SIZE: dict[Any, str] = {
    32: "hidden_size d_model n_embd emb_dim embedding_size word_embed_proj_dim attention_hidden_size lru_width "
    "hidden_size_global input_size adapter_in_dim adapter_out_dim backbone_hidden_size out_hidden_size "
    "vision_output_dim projector_input_dim projector_output_dim mamba_d_ssm",
    48: "intermediate_size ffn_dim n_inner d_ff ffn_hidden_size dff dim_ff decoder_ffn_dim encoder_ffn_dim "
    "intermediate_size_mlp dense_intermediate_size shared_intermediate_size mlp_dim prompt_mid_dim",
    3: "num_hidden_layers n_layer n_layers num_layers decoder_layers encoder_layers num_decoder_layers "
    "num_encoder_layers depth num_global_layers conf_num_hidden_layers num_blocks",
    4: "num_attention_heads n_head n_heads num_heads decoder_attention_heads encoder_attention_heads attention_heads "
    "num_decoder_attention_heads num_encoder_attention_heads swa_num_attention_heads linear_num_heads "
    "linear_num_value_heads linear_num_key_heads num_local_experts num_experts n_routed_experts moe_num_experts "
    "mamba_n_heads mamba_num_heads index_n_heads conf_num_attention_heads conf_conv_kernel_size",
    2: "num_key_value_heads num_kv_heads swa_num_key_value_heads num_experts_per_tok num_experts_per_token moe_topk "
    "moe_k num_dense_layers ngram zero_expert_num o_groups heads_per_ngram ngram_size",
    1: "n_group topk_group num_expert_group n_shared_experts num_shared_experts moe_num_shared_experts "
    "first_k_dense_replace n_groups mamba_n_groups",
    8: "head_dim attention_head_size qk_rope_head_dim qk_nope_head_dim v_head_dim swa_head_dim kv_channels dim_head "
    "linear_key_head_dim linear_value_head_dim linear_head_dim index_head_dim state_size mamba_d_state ssm_state_size "
    "rotary_dim d_kv time_step_rank mamba_dt_rank hidden_size_per_layer_input laurel_rank "
    "compress_rate prompt_length mamba_chunk_size chunk_size index_topk loop_gate_rank gated_norm_rank hc_lowrank "
    "ple_embed_dim num_position_embeddings",
    16: "q_lora_rank kv_lora_rank qk_head_dim moe_intermediate_size expert_ffn_hidden_size "
    "shared_expert_intermediate_size shared_experts_intermediate_size moe_shared_expert_intermediate_size o_lora_rank "
    "sliding_window sliding_window_size mamba_d_head mamba_head_dim attention_chunk_size local_attention "
    "local_attention_window_len keep_window_size "
    "projection_dim dim_model_base num_centroids",
    VOCABULARY: "vocab_size vocab_size_per_layer_input decoder_vocab_size ngram_vocab_size_base audio_vocab_size "
    "encoder_hash_byte_group_vocab unpadded_vocab_size",
    LONGEST: "max_position_embeddings n_positions n_ctx max_seq_len max_target_positions max_source_positions "
    "model_max_length",
}
_SIZES = {name: size for size, names in _BY_SIZE.items() for name in names.split()}
_ALSO_IF_UNSET = ("head_dim",)  # some classes use it without a default
_TOKENS = {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 2}

_MIXED = ["sliding_attention", "full_attention", "full_attention"]

_SMALL = {
    "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 8, "global_head_dim": 8,
}  # fmt: skip

_BESIDES: dict[str, dict[str, Any]] = {
    "cohere_compass_text": {"rope_parameters": {"full_attention": {"rope_type": "default", "rope_theta": 10000.0}}},
    "dbrx": {
        "attn_config": {"kv_n_heads": 2, "clip_qkv": 8, "rope_theta": 10000.0},
        "ffn_config": {"ffn_hidden_size": 48, "moe_num_experts": 4},
    },
    "deepseek_v2": {"num_experts_per_tok": 2, "n_group": 1, "topk_group": 1},
    "dory": {"n_input_layers": 1, "n_output_layers": 1, "n_recurrent_layers": 1},
    "dots1": {"n_routed_experts": 4, "n_shared_experts": 1, "num_experts_per_tok": 2, "moe_intermediate_size": 16},
    "dots3_note.vision_config": {
        "mlp_layer_types": ["dense"] * 3,
        "adapter_in_dim": 32,
        "adapter_out_dim": 32,
        "hidden_size": 32,
    },
    "dots3_note.audio_config": {"adapter_input_size": 32, "adapter_out_dim": 32, "hidden_size": 32},
    "dots3_note.text_config": {"num_key_value_heads": 4},
    "dots3_note_text": {"num_key_value_heads": 4},
    "falcon_h1": {"mamba_d_head": 8, "mamba_n_heads": 4},
    "gemma3n_text": {"num_kv_shared_layers": 0, "layer_types": _MIXED},
    "gemma3n.text_config": {"num_kv_shared_layers": 0, "layer_types": _MIXED},
    "gemma4_assistant": {
        "text_config": {
            **_SMALL,
            "hidden_size_per_layer_input": 0,
            "num_kv_shared_layers": 0,
            "layer_types": _MIXED,
            "vocab_size": 300,
            "vocab_size_per_layer_input": 0,
        },
        "backbone_hidden_size": 32,
    },
    "gpt_neo": {"attention_types": [[["global", "local", "global"], 1]]},
    "inkling2_loop_text": {
        "loop_layer_index_start": 1,
        "loop_layer_index_end": 2,
        "loop_num_passes": 3,
        "n_layers_per_attn_res_block": 1,
    },
    "lfm2_moe": {"layer_types": ["conv", "full_attention", "conv"]},
    "mamba2": {"num_heads": 8, "head_dim": 8},
    "reformer": {
        "is_decoder": True,
        "attn_layers": ["local", "lsh", "local"],
        "axial_pos_shape": [8, 8],
        "axial_pos_embds_dim": [16, 16],
        "local_attn_chunk_length": 8,
        "lsh_attn_chunk_length": 8,
        "num_buckets": 4,
        "hash_seed": 0,
        "feed_forward_size": 48,
    },
    "mllama": {
        "text_config": {
            **_SMALL,
            **_TOKENS,
            "vocab_size": VOCABULARY,
            "cross_attention_layers": [1],
            "num_hidden_layers": 4,
        }
    },
    "nemotron": {"num_key_value_heads": 2},
    "roc_bert": {
        "pronunciation_vocab_size": 50,
        "shape_vocab_size": 50,
        "shape_embed_dim": 8,
        "pronunciation_embed_dim": 8,
    },
    "xmod": {"languages": ["en_XX"], "default_language": "en_XX"},
    "zamba": {
        "num_hidden_layers": 8,
        "attention_hidden_size": 64,
        "attention_head_dim": 16,
        "n_mamba_heads": 2,
        "mamba_dt_rank": 4,
    },
    "zamba2": {
        "attention_hidden_size": 64,
        "num_hidden_layers": 4,
        "layers_block_type": ["linear_attention", "hybrid", "linear_attention", "hybrid"],
        "attention_head_dim": 16,
        "n_mamba_heads": 4,
        "mamba_headdim": 16,
        "num_mem_blocks": 1,
    },
    "zaya": {"num_experts_per_tok": 1},
}
"""What single architectures need besides, by model type, and by its part where it has several."""


def tiny_config(model_type: str) -> PretrainedConfig:
    """The configuration of a model type, with every size that has a name shrunk."""
    usual = CONFIG_MAPPING[model_type]
    return usual(**_shrunk(usual, model_type))


def tiny_model(model_type: str, seed: int = 0) -> PreTrainedModel:
    """A network in eval mode whose weights are large enough for its layers to differ."""
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_config(tiny_config(model_type), dtype=torch.float32).eval()
    with torch.no_grad():
        for weight in model.parameters():
            if weight.dim() > 1 and float(weight.std()) < 0.05:
                weight.mul_(4)
    return model


def _shrunk(config_class: type[PretrainedConfig], key: str) -> dict[str, Any]:
    besides = dict(_BESIDES.get(key, {}))
    try:
        default = config_class()
    except StrictDataclassClassValidationError:  # some defaults do not pass their own validation
        default = None
    there = vars(default) if default is not None else dict.fromkeys(besides)
    found = {
        name: _SIZES[name]
        for name, value in there.items()
        if name in _SIZES and (value is not None or name in _ALSO_IF_UNSET)
    }
    if "qk_nope_head_dim" in there:  # latent attention has as many keys as queries
        found["num_key_value_heads"] = found["num_attention_heads"]
    found |= {name: value for name, value in _TOKENS.items() if name in there}
    for name in config_class.sub_configs:
        if default is not None and isinstance(getattr(default, name, None), PretrainedConfig):
            sub = type(getattr(default, name))
            found[name] = _shrunk(sub, f"{key}.{name}")
    return found | besides
