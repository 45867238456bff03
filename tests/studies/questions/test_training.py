from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from rankscope.errors import SettingsError
from rankscope.models import training_step
from rankscope.settings import Settings, StudyOptions
from rankscope.studies import conduct
from rankscope.studies.questions.training import checkpoints_of
from tiny import SENTENCES, save_tiny

pytestmark = pytest.mark.slow


def test_pico_stands_for_its_checkpoints() -> None:
    assert checkpoints_of("pico")[0] == "pico@step-0"
    assert [training_step(name).step for name in checkpoints_of("pico")] == [0, 128, 256, 512, 1024, 2048, 2560]
    assert checkpoints_of("EleutherAI/pythia-70m@step1000") == ("EleutherAI/pythia-70m@step1000",)


def test_a_trainers_folder_stands_for_its_checkpoints_in_order(tmp_path: Path) -> None:
    for seed, step in enumerate((5, 10, 100)):
        folder = save_tiny(tmp_path / f"checkpoint-{step}", seed=seed)
        (folder / "trainer_state.json").write_text(json.dumps({"global_step": step}))
    assert checkpoints_of(str(tmp_path)) == tuple(f"{tmp_path}@checkpoint-{step}" for step in (5, 10, 100))
    data = tmp_path / "texts.jsonl"
    data.write_text("".join(json.dumps({"text": text}) + "\n" for text in SENTENCES))
    options = StudyOptions((str(tmp_path),), (str(data),))
    one = conduct("training", options, output=tmp_path / "study", settings=Settings(field="text"))
    rows = one.findings.table
    assert rows["step"].to_list() == [5, 10, 100]
    best = rows.filter(pl.col("stage") == "best loss")
    assert best["loss"].item() == rows["loss"].min()
    assert "accuracy" not in rows.columns
    listed = StudyOptions(tuple(f"{tmp_path}@checkpoint-{step}" for step in (100, 5)), (str(data),))
    other = conduct("training", listed, output=tmp_path / "listed", settings=Settings(field="text", layers="0,last"))
    assert other.findings.table["step"].to_list() == [5, 100, 5, 100]
    assert sum("(layer 0)" in text for text in other.findings.sentences) == len(other.findings.sentences) / 2


def test_unfinished_checkpoints_are_left_out_and_named(tmp_path: Path) -> None:
    run = tmp_path / "run"
    for seed, step in enumerate((5, 10, 20, 30)):
        folder = save_tiny(run / f"checkpoint-{step}", seed=seed)
        (folder / "trainer_state.json").write_text("" if step == 10 else json.dumps({"global_step": step}))
    (run / "checkpoint-20" / "model.safetensors").unlink()
    weights = run / "checkpoint-30" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:5000])
    for file in ("tokenizer.json", "tokenizer_config.json"):
        (run / "checkpoint-5" / file).rename(run / file)
    data = tmp_path / "texts.txt"
    data.write_text("\n".join(SENTENCES))
    found = conduct("training", StudyOptions((str(run),), (str(data),)), output=tmp_path / "study").findings
    assert found.table["step"].to_list() == [5, 10]
    told = found.sentences[-1]
    assert "checkpoint-20 (no weights)" in told
    assert "checkpoint-30 (model.safetensors is cut off)" in told
    (run / "checkpoint-10" / "config.json").unlink()
    with pytest.raises(SettingsError, match=r"left out .*checkpoint-10 \(no config.json\)"):
        conduct("training", StudyOptions((str(run),), (str(data),)), output=tmp_path / "again")
