from __future__ import annotations

import json
import warnings
from pathlib import Path

import pytest

from rankscope.errors import MissingExtraError, UnknownNameError
from rankscope.integrations import TrackedRun, check_tracker, send_to_tracker

KEY, VALUE = "some data/last/effective_rank", 14.592587
RUN = TrackedRun("project", "model", {"limit": 4, "dtype": "float32"}, {KEY: VALUE}, ["layer", "loss"], [["last", 2.5]])


@pytest.mark.slow
@pytest.mark.usefixtures("trackio_store")
def test_trackio_has_config_numbers_and_table(capsys: pytest.CaptureFixture[str]) -> None:
    send_to_tracker(RUN, "trackio")
    from trackio.sqlite_storage import SQLiteStorage

    (log,) = SQLiteStorage.get_logs("project", "model")
    assert log[KEY] == VALUE
    assert log["summary"]["_value"] == [{"layer": "last", "loss": 2.5}]
    config = SQLiteStorage.get_run_config("project", "model")
    assert (config["limit"], config["dtype"]) == (4, "float32")
    assert capsys.readouterr().out == ""


@pytest.mark.slow
def test_wandb_has_config_numbers_and_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wandb = pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    send_to_tracker(RUN, "wandb")
    (table,) = tmp_path.glob("**/summary_*.table.json")
    content = json.loads(table.read_text())
    assert (content["columns"], content["data"]) == (["layer", "loss"], [["last", 2.5]])
    wandb.teardown()  # ends the service, which writes the log
    (log,) = (file.read_bytes() for file in tmp_path.glob("wandb/offline-run-*/*.wandb"))
    for part in (KEY, str(VALUE), "project", "model", "limit", "float32"):
        assert part.encode() in log


@pytest.mark.slow
def test_mlflow_has_config_numbers_and_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    send_to_tracker(RUN, "mlflow")
    with warnings.catch_warnings(action="ignore"):
        (found,) = mlflow.search_runs(experiment_names=["project"], output_format="list")
    assert found.info.run_name == "model"
    assert found.data.metrics == {KEY: VALUE}
    assert found.data.params == {"limit": "4", "dtype": "float32"}
    assert mlflow.artifacts.load_dict(f"{found.info.artifact_uri}/summary.json") == {"layer": ["last"], "loss": [2.5]}


def test_a_tracker_that_is_not_there_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnknownNameError, match="unknown tracker 'wandbb': did you mean wandb"):
        check_tracker("wandbb")
    monkeypatch.setattr("rankscope.integrations.trackers.find_spec", lambda _name: None)
    for name in ("trackio", "wandb", "mlflow"):
        with pytest.raises(MissingExtraError, match=rf"{name} is not installed: pip install 'rankscope\[{name}\]'"):
            check_tracker(name)
