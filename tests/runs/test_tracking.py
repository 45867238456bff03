from __future__ import annotations

import json
from pathlib import Path

import pytest

import rankscope as rs
from made_up import alignment_run, written
from rankscope.errors import StorageError
from rankscope.integrations import TrackedRun


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[TrackedRun]:
    """What the tracker is given."""
    given: list[TrackedRun] = []
    monkeypatch.setattr("rankscope.runs.tracking.send_to_tracker", lambda run, _to: given.append(run))
    monkeypatch.setattr("rankscope.runs.tracking.check_tracker", lambda _to: None)
    return given


def run_of_texts(folder: Path) -> rs.Run:
    row = {
        "dataset": "pairs",
        "texts": 3,
        "skipped": 0,
        "tokens": 40,
        "hidden_size": 8,
        "effective_rank": None,
        "loss": 2.5,
        "loss_low": 2.0,
        "loss_high": 3.0,
        "diff_erank": None,
    }
    rows = [row | {"model": model, "layer": layer} for model in ("one", "two") for layer in ("0", "last")]
    run = written(folder, rows, {"limit": 3, "field": None, "protocol": "default"})
    manifest = json.loads((folder / "manifest.json").read_text())
    del manifest["identity"]["kind"]
    for model in manifest["identity"]["models"]:
        model["dropout"] = 0.0
    manifest["sessions"] = [{"versions": {"torch": "2.13"}}]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return run


def test_a_run_for_each_model_with_layers_in_the_keys(tmp_path: Path, sent: list[TrackedRun]) -> None:
    rs.log_run(run_of_texts(tmp_path / "run"), to="trackio", project="mine")
    assert [(one.project, one.name) for one in sent] == [("mine", "one"), ("mine", "two")]
    assert sent[0].numbers == {"pairs/0/loss": 2.5, "pairs/last/loss": 2.5}
    assert sent[0].config == {
        "limit": 3, "protocol": "default", "model": "one", "fingerprint": "0" * 64, "data": "pairs",
        "version_torch": "2.13",
    }  # fmt: skip
    first, second = (dict(zip(sent[0].columns, row, strict=True)) for row in sent[0].rows)
    assert (first["layer"], second["layer"], second["loss_high"], second["diff_erank"]) == ("0", "last", 3.0, None)


def test_images_have_their_control_in_the_keys(tmp_path: Path, sent: list[TrackedRun]) -> None:
    rs.log_run(alignment_run(tmp_path / "run"), to="wandb")
    assert sent[0].numbers["pairs/shuffled/image_text_alignment"] == pytest.approx(0.8)
    assert sent[0].project == "rankscope"


def test_a_tracker_that_fails_leaves_the_run_and_says_how_to_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sent: list[TrackedRun]
) -> None:
    def fails(*_: object) -> None:
        raise ConnectionError("no server\nat all")

    monkeypatch.setattr("rankscope.runs.tracking.send_to_tracker", fails)
    with pytest.raises(StorageError, match=r"mlflow did not accept the run: no server; it is saved in .*log_run\("):
        rs.log_run(run_of_texts(tmp_path / "run"), to="mlflow")
