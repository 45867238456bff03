from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from rankscope.errors import SettingsError
from rankscope.reports import study_figure
from rankscope.settings import Settings, StudyOptions
from rankscope.studies import conduct
from rankscope.studies.trainings import checkpoints_of
from tiny import SENTENCES, save_tiny

pytestmark = pytest.mark.slow


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
    assert "checkpoint-30 (model.safetensors is truncated)" in told
    (run / "checkpoint-10" / "config.json").unlink()
    with pytest.raises(SettingsError, match=r"skipped .*checkpoint-10 \(no config.json\)"):
        conduct("training", StudyOptions((str(run),), (str(data),)), output=tmp_path / "again")


def test_phases_of_a_training_are_told_beside_the_step_of_least_loss(tmp_path: Path) -> None:
    options = StudyOptions(("pico",), ("stdlib-docs",), tasks=("none",))
    settings = Settings(limit=12, untrained_seeds=0, device="cpu")
    conducted = conduct("training", options, output=tmp_path / "study", settings=settings)
    phases = conducted.findings.more["phases"]
    rows = conducted.findings.table
    assert phases["direction"].to_list() == ["falls", "rises"]
    assert phases["change"].to_list() == [128, None]  # 26 dimensions at step 0, 6 at step 128, 11 at step 256
    assert rows.sort("effective_rank")["step"][0] == 128
    (told,) = [text for text in conducted.findings.sentences if "phases" in text]
    assert "eRank has 2 phases over log(step): it falls until step 128 (95 % interval 0 to" in told
    assert told.endswith(f"the loss is lowest at step {rows.filter(pl.col('stage') == 'best loss')['step'].item():,}.")
    drawn = json.dumps(study_figure(conducted).to_dict())
    assert '"strokeDash": [1, 3]' in drawn
    assert '"values": [{"step": 128}]' in drawn


def test_where_there_are_no_phases_a_sentence_says_so(tmp_path: Path) -> None:
    for step in (5, 10, 20, 40, 80, 160):
        save_tiny(tmp_path / "run" / f"checkpoint-{step}", seed=step)  # networks that have nothing to do with steps
    data = tmp_path / "texts.txt"
    data.write_text("\n".join(SENTENCES))
    settings = Settings(untrained_seeds=0, device="cpu")

    def said(*steps: int) -> str:
        models = tuple(f"{tmp_path / 'run'}@checkpoint-{step}" for step in steps)
        found = conduct(
            "training", StudyOptions(models, (str(data),)), output=tmp_path / str(len(steps)), settings=settings
        )
        return next(text for text in found.findings.sentences if "phases of eRank" in text)

    assert "no distinct phases of eRank were found: a straight line over log(step) fits the 6" in said(
        5, 10, 20, 40, 80, 160
    )
    assert said(5, 10) == (
        "On texts.txt, phases of eRank were not computed: 2 checkpoints are too few (at least 6 are needed)."
    )
