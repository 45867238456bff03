"""A model in memory is measured as in a folder, and nothing is written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from polars.testing import assert_frame_equal

import rankscope as rs
from rankscope.errors import SettingsError
from tiny import SENTENCES, save_tiny, tiny_model, tiny_tokenizer


def test_rows_are_those_of_a_run(tmp_path: Path) -> None:
    chosen = {"layers": "all", "metrics": "effective_rank,linear_cka,loss", "max_length": 12}
    rows = rs.measure_texts(tiny_model("llama"), tiny_tokenizer(), SENTENCES, **chosen)
    folder = save_tiny(tmp_path / "model")
    (tmp_path / "texts.jsonl").write_text("\n".join(json.dumps({"text": text}) for text in SENTENCES))
    run = rs.evaluate(
        str(folder), str(tmp_path / "texts.jsonl"), field="text", untrained_seeds=0, output=tmp_path / "run", **chosen
    )
    names = ["text_index", "layer", "n_tokens", "effective_rank", "linear_cka", "loss"]
    assert_frame_equal(rows.select(names), run.measurements().select(names), check_exact=True)
    assert rows["linear_cka"].null_count() == len(SENTENCES)  # at the embeddings


def test_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RANKSCOPE_CACHE", str(tmp_path / "cache"))
    rows = rs.measure_texts(tiny_model("gpt2"), tiny_tokenizer(), ["A cat sat on a mat.", "x"])
    assert rows["status"].to_list() == ["ok", "skipped"]
    assert list(tmp_path.iterdir()) == []


def test_settings_of_folders_and_data_sets_are_refused() -> None:
    with pytest.raises(SettingsError, match="limit does not apply to a model and texts in memory"):
        rs.measure_texts(tiny_model("llama"), tiny_tokenizer(), SENTENCES, limit=3)
