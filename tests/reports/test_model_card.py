from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from huggingface_hub import ModelCard, metadata_load, metadata_save, metadata_update
from huggingface_hub.repocard_data import eval_results_to_model_index, model_index_to_eval_results

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


def several_layers(runs: dict[str, rs.Run], monkeypatch: pytest.MonkeyPatch) -> tuple[str, list[dict]]:
    """A card of one model with several layers on two data sets, and its summary's rows."""
    run = runs["sizes"]
    rows = [row for row in run.summary_rows() if row["model"] == "pico-0.1m" and row["layer"] != "last"]
    rows += [row | {"dataset": "other", "effective_rank": row["effective_rank"] + 1} for row in rows]
    monkeypatch.setattr(rs.Run, "summary_rows", lambda _self: rows)
    return model_card_of(run), rows


def results_of(metadata: dict) -> dict[tuple, float]:
    """Each number by its identity."""
    assert len(metadata["model-index"]) == 1
    _, results = model_index_to_eval_results(metadata["model-index"])
    found = {(one.dataset_name, one.metric_type, one.metric_args["layer"]): one.metric_value for one in results}
    assert len(found) == len(results)
    return found


def test_every_number_survives_the_hubs_library(
    runs: dict[str, rs.Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text, rows = several_layers(runs, monkeypatch)
    metrics = ("effective_rank", "diff_erank", "normalized_matrix_entropy", "matrix_nuclear_norm", "loss")
    expected = {
        (row["dataset"], key, row["layer"]): round(row[key], 4) for row in rows for key in metrics if key in row
    }
    assert len(expected) > 20
    card = ModelCard(text)
    written = yaml.safe_load(text.split("---")[1])
    assert results_of(written) == expected
    (twice,) = eval_results_to_model_index("pico-0.1m", card.data.eval_results)
    assert model_index_to_eval_results([twice])[1] == card.data.eval_results
    metadata_save(tmp_path / "README.md", written)
    assert metadata_load(tmp_path / "README.md") == written
    first = card.data.eval_results[0]
    assert first.metric_args["texts"] == rows[0]["texts"]
    assert first.dataset_args["sha256"] == runs["sizes"].manifest()["identity"]["data"][0]["fingerprint"]


def test_an_update_on_the_hub_adds_each_number_once(runs: dict[str, rs.Run], monkeypatch: pytest.MonkeyPatch) -> None:
    text, _ = several_layers(runs, monkeypatch)
    there = ModelCard("---\nlicense: mit\n---\nA model.")
    monkeypatch.setattr(ModelCard, "load", lambda *_args, **_options: there)
    monkeypatch.setattr(ModelCard, "push_to_hub", lambda *_args, **_options: "")
    for _ in range(2):
        metadata_update("owner/name", yaml.safe_load(text.split("---")[1]))
        assert results_of(there.data.to_dict()) == results_of(yaml.safe_load(text.split("---")[1]))
    assert there.data.license == "mit"
