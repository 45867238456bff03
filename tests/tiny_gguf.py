"""A tiny Llama as GGUF, with the names and the order of rows that llama.cpp's converter writes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from transformers import LlamaConfig, LlamaForCausalLM

from tiny import VOCABULARY, tiny_tokenizer

_OUTER = {
    "model.embed_tokens.weight": "token_embd.weight",
    "model.norm.weight": "output_norm.weight",
    "lm_head.weight": "output.weight",
}
_INNER = {
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down", "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
}  # fmt: skip


def tiny_llama(**rope: Any) -> LlamaForCausalLM:
    """The same weights for each kind of rotary embedding."""
    import torch

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=VOCABULARY, hidden_size=32, intermediate_size=48, num_hidden_layers=3, num_attention_heads=4,
        num_key_value_heads=4, max_position_embeddings=128, rms_norm_eps=1e-5, bos_token_id=0, eos_token_id=1,
        tie_word_embeddings=False, initializer_range=0.2,
        rope_parameters={"rope_theta": 10000.0, "rope_type": "default"} | rope,
    )  # fmt: skip
    return LlamaForCausalLM(config).eval()


def write_gguf(
    path: Path,
    model: LlamaForCausalLM,
    keys: Mapping[str, Any] = {},
    tensors: Mapping[str, np.ndarray] = {},
    split: int = 0,
) -> Path:
    """Writes a model, with metadata `llama.<key>` and further tensors; with `split`, in parts of so many tensors."""
    writer = gguf.GGUFWriter(path, "llama", split_max_tensors=split)
    config = model.config
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_vocab_size(config.vocab_size)
    writer.add_rope_dimension_count(8)
    _add_tokenizer(writer)
    for key, value in keys.items():
        kind = {str: "string", float: "float32", bool: "bool", int: "uint32", list: "array"}[type(value)]
        getattr(writer, f"add_{kind}")(f"llama.{key}" if "general." not in key else key, value)
    for name, weight in [*_tensors(model), *tensors.items()]:
        writer.add_tensor(name, np.ascontiguousarray(weight))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _add_tokenizer(writer: gguf.GGUFWriter) -> None:
    plain = json.loads(tiny_tokenizer().backend_tokenizer.to_str())
    tokens = [token for token, _ in sorted(plain["model"]["vocab"].items(), key=lambda entry: entry[1])]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(tokens + [f"<unused{number}>" for number in range(VOCABULARY - len(tokens))])
    writer.add_token_types([3 if number < 3 else 1 for number in range(VOCABULARY)])
    writer.add_token_merges([pair if isinstance(pair, str) else " ".join(pair) for pair in plain["model"]["merges"]])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(1)


def _tensors(model: LlamaForCausalLM) -> Iterator[tuple[str, np.ndarray]]:
    for name, tensor in model.state_dict().items():
        weight = tensor.float().numpy()
        if name in _OUTER:
            yield _OUTER[name], weight
            continue
        _, _, layer, *rest, _ = name.split(".")
        inner = ".".join(rest)
        rotated = inner in ("self_attn.q_proj", "self_attn.k_proj")
        yield f"blk.{layer}.{_INNER[inner]}.weight", _interleaved(weight) if rotated else weight


def _interleaved(weight: np.ndarray, heads: int = 4) -> np.ndarray:
    halves = weight.reshape(heads, 2, weight.shape[0] // heads // 2, *weight.shape[1:])
    return halves.swapaxes(1, 2).reshape(weight.shape)


def gguf_config(**changes: Any) -> LlamaConfig:
    """The configuration of `save_gguf`'s network, with a range that is not the library's default."""
    sizes = {
        "vocab_size": VOCABULARY, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 4, "max_position_embeddings": 128,
        "rms_norm_eps": 1e-5, "bos_token_id": 0, "eos_token_id": 1, "tie_word_embeddings": False,
        "initializer_range": 0.15,
    }  # fmt: skip
    return LlamaConfig(**(sizes | changes))


def save_gguf(folder: Path) -> tuple[Path, Path]:
    """The folder with a network and the GGUF file of the same weights."""
    import torch

    torch.manual_seed(0)
    network = LlamaForCausalLM(gguf_config())
    network.save_pretrained(folder / "network")
    tiny_tokenizer().save_pretrained(folder / "network")
    return folder / "network", write_gguf(folder / "network.gguf", network)
