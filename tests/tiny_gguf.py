"""A tiny Llama network as a folder and as the GGUF file that a converter makes of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from tiny import VOCABULARY, tiny_tokenizer

_HEADS, _HEAD_SIZE = 4, 8
_OUTER = {
    "model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight",
    "lm_head.weight": "output.weight",
}  # fmt: skip
_INNER = {
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down", "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
}  # fmt: skip


def gguf_config(**changes: Any) -> LlamaConfig:
    """The configuration of the network, with a range that is not the library's default."""
    sizes = {
        "vocab_size": VOCABULARY, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
        "num_attention_heads": _HEADS, "num_key_value_heads": _HEADS, "max_position_embeddings": 128,
        "rms_norm_eps": 1e-5, "bos_token_id": 0, "eos_token_id": 1, "tie_word_embeddings": False,
        "initializer_range": 0.15,
    }  # fmt: skip
    return LlamaConfig(**(sizes | changes))


def save_gguf(folder: Path) -> tuple[Path, Path]:
    """The folder with the network and the GGUF file of the same weights."""
    torch.manual_seed(0)
    network = LlamaForCausalLM(gguf_config())
    network.save_pretrained(folder / "network")
    tiny_tokenizer().save_pretrained(folder / "network")
    file = folder / "network.gguf"
    writer = gguf.GGUFWriter(file, "llama")
    _write_header(writer, network.config)
    for name, weight in _tensors(network):
        writer.add_tensor(name, np.ascontiguousarray(weight))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return folder / "network", file


def _tensors(network: LlamaForCausalLM) -> Iterator[tuple[str, np.ndarray]]:
    for name, tensor in network.state_dict().items():
        weight = tensor.float().numpy()
        if name in _OUTER:
            yield _OUTER[name], weight
            continue
        _, _, layer, *rest = name.split(".")
        inner = _INNER[".".join(rest[:-1])]
        # llama.cpp keeps the rows of queries and keys in another order.
        if inner in ("attn_q", "attn_k"):
            weight = weight.reshape(_HEADS, 2, _HEAD_SIZE // 2, -1).swapaxes(1, 2).reshape(weight.shape)
        yield f"blk.{layer}.{inner}.weight", weight


def _write_header(writer: gguf.GGUFWriter, config: LlamaConfig) -> None:
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(_HEADS)
    writer.add_head_count_kv(_HEADS)
    writer.add_rope_freq_base(10000.0)
    writer.add_rope_dimension_count(_HEAD_SIZE)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_vocab_size(VOCABULARY)
    tokenizer = tiny_tokenizer()
    tokens = sorted(tokenizer.get_vocab(), key=tokenizer.get_vocab().__getitem__)
    tokens += [f"<unused{number}>" for number in range(VOCABULARY - len(tokens))]
    special = set(tokenizer.all_special_tokens)
    kinds = [gguf.TokenType.CONTROL if token in special else gguf.TokenType.NORMAL for token in tokens]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges(_merges(tokenizer))
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(1)


def _merges(tokenizer: Any) -> list[str]:
    merges = json.loads(tokenizer.backend_tokenizer.to_str())["model"]["merges"]
    return [merge if isinstance(merge, str) else " ".join(merge) for merge in merges]
