"""Tiny configurations of the architectures that must work, and a tiny tokenizer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import CONFIG_MAPPING, AutoModelForCausalLM, PretrainedConfig, PreTrainedTokenizerFast

VOCABULARY = 300
_LLAMA = {
    "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 8, "max_position_embeddings": 128,
}  # fmt: skip
_OPT = {
    "hidden_size": 32, "ffn_dim": 48, "num_hidden_layers": 3, "num_attention_heads": 4,
    "max_position_embeddings": 128, "word_embed_proj_dim": 32,
}  # fmt: skip

CONFIGURATIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "opt": ("opt", _OPT),
    "opt-350m": ("opt", _OPT | {"word_embed_proj_dim": 16, "do_layer_norm_before": False}),
    "gpt2": ("gpt2", {"n_embd": 32, "n_layer": 3, "n_head": 4, "n_positions": 128}),
    "gpt_neox": (
        "gpt_neox",
        {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4},
    ),
    "llama": ("llama", _LLAMA),
    "qwen2": ("qwen2", _LLAMA),
    "mistral": ("mistral", _LLAMA | {"sliding_window": 8}),
    "gemma": ("gemma", _LLAMA),
    "gemma2": ("gemma2", _LLAMA | {"final_logit_softcapping": 5.0}),
    "gemma3": ("gemma3_text", _LLAMA),
    "mixtral": ("mixtral", _LLAMA | {"num_local_experts": 4}),
    "mamba": ("mamba", {"hidden_size": 32, "num_hidden_layers": 3}),
    "cohere": ("cohere", _LLAMA | {"logit_scale": 0.25}),
}


def tiny_config(name: str) -> PretrainedConfig:
    model_type, sizes = CONFIGURATIONS[name]
    tokens = {"vocab_size": VOCABULARY, "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 2}
    return CONFIG_MAPPING[model_type](**sizes, **tokens)


def tiny_model(name: str, seed: int = 0) -> Any:
    """A model whose weights are large enough for its layers to differ clearly."""
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_config(tiny_config(name), dtype=torch.float32).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1 and name != "mamba":
                parameter.mul_(4)
    return model


def tiny_tokenizer() -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=["<s>", "</s>", "<pad>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(SENTENCES, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", pad_token="<pad>")


def save_tiny(folder: Path, name: str = "llama", seed: int = 0) -> Path:
    tiny_model(name, seed).save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return folder


SENTENCES = (
    "The quick brown fox jumps over the lazy dog, twice before breakfast and once after it.",
    "Entropy counts how many ways there are to be the same.",
    "A rank that is effective need not be whole.",
    "She sells sea shells on the sea shore; the shells she sells are sea shells, I am sure.",
    "Rivers run, mountains wait, and the weather changes its mind about both of them every day.",
    "Numbers without a baseline are opinions with decimals.",
    "It was a bright cold day in April, and the clocks were striking thirteen.",
    "Short text here.",
)
