"""What a trial run shows of a network reaches the run's numbers and notes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from transformers import BertConfig, BertLMHeadModel, LlavaForConditionalGeneration, Phi3Config, Phi3ForCausalLM

import rankscope as rs
from tiny import SENTENCES, VOCABULARY, tiny_tokenizer
from tiny_vision import tiny_config, tokenizer_with_markers

pytestmark = pytest.mark.slow

_SIZES = {
    "vocab_size": VOCABULARY, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3,
    "num_attention_heads": 4, "pad_token_id": 2, "bos_token_id": 0, "eos_token_id": 1,
}  # fmt: skip


@pytest.fixture
def texts(tmp_path: Path) -> str:
    file = tmp_path / "texts.txt"
    file.write_text("\n".join(SENTENCES), encoding="utf-8")
    return str(file)


def test_a_network_that_reads_both_ways_has_ranks_and_no_loss(tmp_path: Path, texts: str) -> None:
    torch.manual_seed(0)
    BertLMHeadModel(BertConfig(**_SIZES, max_position_embeddings=64)).save_pretrained(tmp_path / "bert")
    tiny_tokenizer().save_pretrained(tmp_path / "bert")
    run = rs.evaluate(str(tmp_path / "bert"), texts, output=tmp_path / "run", layers="all", untrained_seeds=0)
    rows = run.summary_rows()
    assert all(row["loss"] is None and row["effective_rank"] is not None for row in rows)
    (note,) = [note for note in run.notes() if note.name == "not-causal"]
    assert "no next-token loss" in note.text


def test_long_rope_gives_a_text_one_value_whatever_its_batch(tmp_path: Path, texts: str) -> None:
    torch.manual_seed(0)
    config = Phi3Config(
        **_SIZES, num_key_value_heads=4, max_position_embeddings=128, original_max_position_embeddings=16,
        initializer_range=0.2,
        rope_scaling={"type": "longrope", "short_factor": [1.0] * 4, "long_factor": [1.0, 5.0, 9.0, 13.0]},
    )  # fmt: skip
    Phi3ForCausalLM(config).save_pretrained(tmp_path / "phi")
    tiny_tokenizer().save_pretrained(tmp_path / "phi")
    ranks = [
        rs.evaluate(
            str(tmp_path / "phi"), texts, output=tmp_path / f"run-{size}", batch_tokens=size, untrained_seeds=0
        ).measurements()
        for size in (1, 4096)
    ]
    lengths = ranks[0]["n_tokens"].to_list()
    assert min(lengths) <= 16 < max(lengths)
    assert ranks[0]["effective_rank"].to_list() == pytest.approx(ranks[1]["effective_rank"].to_list(), abs=1e-6)


def test_a_vision_language_model_is_measured_on_text(tmp_path: Path, texts: str) -> None:
    torch.manual_seed(0)
    LlavaForConditionalGeneration(tiny_config("llava")).save_pretrained(tmp_path / "llava")
    tokenizer_with_markers().save_pretrained(tmp_path / "llava")
    run = rs.evaluate(str(tmp_path / "llava"), texts, output=tmp_path / "run", layers="all", untrained_seeds=1)
    rows = run.summary_rows()
    assert [row["layer"] for row in rows] == ["0", "1", "2", "last"]
    assert all(row["diff_erank"] is not None and row["loss"] is not None for row in rows)


def test_readings_are_kept_for_trained_models(tmp_path: Path, texts: str) -> None:
    run = rs.evaluate("pico-0.1m", texts, output=tmp_path / "run")
    (file,) = (run.path / "readings").glob("*.json")
    assert json.loads(file.read_text()) == {
        "model": "pico-0.1m", "causal": True, "padding_fault": None, "streams": False,
    }  # fmt: skip
