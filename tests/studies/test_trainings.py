from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

import rankscope as rs
from rankscope.models import training_step
from rankscope.studies.trainings import checkpoints_of, trainings_of, twin_summaries, unfinished_of
from tiny import SENTENCES, save_tiny


def test_a_pico_model_stands_for_its_checkpoints() -> None:
    assert checkpoints_of("pico")[0] == "pico@step-0"
    assert [training_step(name).step for name in checkpoints_of("pico")] == [0, 128, 256, 512, 1024, 2048, 2560]
    assert checkpoints_of("pico-llama") == ("pico-llama@step-128", "pico-llama@step-512", "pico-llama")
    assert checkpoints_of("pico-1m") == ("pico-1m",)
    assert checkpoints_of("EleutherAI/pythia-70m@step1000") == ("EleutherAI/pythia-70m@step1000",)


def test_checkpoints_are_grouped_by_training_without_step_0_and_what_was_trained_on() -> None:
    neox, llama, early = trainings_of(("pico-0.4m", "pico-llama", "pico@step-512", "pico@step-128", "pico@step-0"))
    assert [one.step for one in neox.checkpoints] == [128, 256, 512, 1024, 2048]
    assert neox.last.model == "pico-0.4m"
    assert [one.model for one in llama.checkpoints] == ["pico-llama@step-128", "pico-llama@step-512", "pico-llama"]
    assert llama.architecture == "llama"
    assert [one.step for one in early.checkpoints] == [128, 512]
    assert {neox.architecture, early.architecture} == {"gpt_neox (pico-0.4m)", "gpt_neox (pico)"}


def test_a_folder_is_one_training_and_models_of_unknown_step_are_one_each(tmp_path: Path) -> None:
    run, other = tmp_path / "run", save_tiny(tmp_path / "other", "gpt_neox")
    for seed, step in enumerate((100, 5)):
        folder = save_tiny(run / f"checkpoint-{step}", seed=seed)
        (folder / "trainer_state.json").write_text(json.dumps({"global_step": step}))
    (run / "checkpoint-7").mkdir()
    assert unfinished_of(str(run)) == ["checkpoint-7 (no config.json)"]
    of_run, alone = trainings_of((str(run), str(other)))
    assert [(one.model, one.step) for one in of_run.checkpoints] == [
        (f"{run}@checkpoint-5", 5),
        (f"{run}@checkpoint-100", 100),
    ]
    assert [(one.model, one.step) for one in alone.checkpoints] == [(str(other), None)]
    assert (of_run.architecture, alone.architecture) == ("llama", "gpt_neox")


@pytest.mark.slow
def test_twins_are_summarised_one_by_one_as_the_run_does_together(tmp_path: Path) -> None:
    data = tmp_path / "texts.txt"
    data.write_text("\n".join(SENTENCES))
    run = rs.evaluate("pico-0.1m", str(data), untrained_seeds=2, layers="1,last", output=tmp_path / "run")
    rows = pl.DataFrame(twin_summaries(run.measurements(ratios=False)), infer_schema_length=None)
    assert rows.select("layer", "seed").rows() == [("1", 0), ("1", 1), ("last", 0), ("last", 1)]
    for row in run.summary_rows():
        twins = rows.filter(layer=row["layer"])
        assert twins["loss"].mean() == pytest.approx(row["untrained_loss"])
        assert twins["texts"].to_list() == [row["texts"]] * 2
        seeds = run.measurements().filter(role="untrained", layer=row["layer"])
        assert twins["matrix_nuclear_norm"].mean() == pytest.approx(seeds["matrix_nuclear_norm"].mean())
