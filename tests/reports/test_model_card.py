from __future__ import annotations

import json
from pathlib import Path

import pytest
from huggingface_hub import ModelCard

import rankscope as rs
from made_up import renamed
from rankscope.reports import model_card_of

pytestmark = pytest.mark.slow


def test_the_hub_reads_its_results(runs: dict[str, rs.Run]) -> None:
    card = ModelCard(model_card_of(runs["single"]))
    (row,) = runs["single"].summary_rows()
    results = {result.metric_type: result for result in card.data.eval_results}
    for key in ("effective_rank", "diff_erank", "normalized_matrix_entropy", "matrix_nuclear_norm", "loss"):
        assert results[key].metric_value == pytest.approx(row[key], abs=1e-4)
        assert results[key].dataset_name == "stdlib-docs"
    assert results["effective_rank"].metric_name == "eRank, layer last, 12 texts"
    assert card.data.model_name == "pico-0.1m"
    assert "is not a better model" in card.text
    assert f"| {row['effective_rank_untrained']:.2f} → {row['effective_rank']:.2f} |" in card.text


def test_a_card_for_each_model_and_the_last_layer_only(runs: dict[str, rs.Run]) -> None:
    text = model_card_of(runs["sizes"])
    assert text.count("model-index:") == 3
    assert "layer 0" not in text


def test_hostile_names_stay_inside_the_metadata(runs: dict[str, rs.Run], tmp_path: Path) -> None:
    hostile = 'a"\n---\nlicense: mine\n#'
    run = renamed(runs["single"], tmp_path / "run", {"pico-0.1m": hostile, "stdlib-docs": "d: [x]\n- y"})
    card = ModelCard(model_card_of(run))
    assert card.data.license is None
    assert card.data.model_name == hostile
    assert card.data.eval_results[0].dataset_name == "d: [x]\n- y"


def test_settings_that_make_other_results_are_named(runs: dict[str, rs.Run], tmp_path: Path) -> None:
    run = renamed(runs["single"], tmp_path / "run", {})
    manifest = json.loads((run.path / "manifest.json").read_text())
    manifest["identity"]["settings"] |= {"perturbation": "tokens-shuffled", "protocol": "permuted"}
    (run.path / "manifest.json").write_text(json.dumps(manifest))
    card = ModelCard(model_card_of(run))
    names = {result.metric_name for result in card.data.eval_results}
    assert "eRank, layer last, 12 texts, protocol permuted, perturbation tokens-shuffled" in names
    assert "Non-default settings: protocol permuted, perturbation tokens-shuffled." in card.text
    assert "its trained weights shuffled" in card.text
    assert "random weights" not in card.text
    assert "random weights" in ModelCard(model_card_of(runs["single"])).text
