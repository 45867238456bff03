"""On isotropic hidden states every metric falls on the line of noise, at every length."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import AutoModelForCausalLM, LlamaConfig, PreTrainedTokenizerFast

from rankscope.settings import Settings, StudyOptions
from rankscope.studies import conduct

WORDS = 3000


def save_isotropic(folder: Path) -> Path:
    """A model whose embeddings are independent Gaussians: texts of distinct words have isotropic hidden states."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=WORDS, hidden_size=96, intermediate_size=8, num_hidden_layers=1, num_attention_heads=2,
        max_position_embeddings=1024, pad_token_id=None,
    )  # fmt: skip
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    tokenizer = Tokenizer(models.WordLevel({f"w{n}": n for n in range(WORDS)}, unk_token="w0"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer).save_pretrained(folder)
    return folder


def test_isotropic_data_falls_on_the_noise_line(tmp_path: Path) -> None:
    words = [f"w{n}" for n in range(1, WORDS)]
    texts = tmp_path / "texts.jsonl"
    with texts.open("w") as file:
        for seed in range(4):
            random.Random(seed).shuffle(words)
            file.write(json.dumps({"text": " ".join(words[:1024])}) + "\n")
    model = save_isotropic(tmp_path / "isotropic")
    options = StudyOptions((str(model),), (str(texts),))
    one = conduct("lengths", options, output=tmp_path / "study", settings=Settings(field="text", layers="0"))
    rows = one.findings.table
    assert rows["length"].to_list() == [64, 128, 256, 512, 1024]
    for metric in ("effective_rank", "normalized_matrix_entropy", "matrix_nuclear_norm"):
        assert rows[metric].to_list() == pytest.approx(rows[f"{metric}_noise"].to_list(), rel=0.02)
