from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import rankscope as rs
from made_up import renamed
from rankscope.errors import SettingsError
from rankscope.reports import every_eval_ever_of
from rankscope.reports.every_eval_ever import SCHEMA_VERSION

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    """The published schema, from the package's wheel; its dependencies exclude ours, so it is not installed."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "rankscope-tests"
    cache.mkdir(parents=True, exist_ok=True)
    name = f"every_eval_ever-{SCHEMA_VERSION}-py3-none-any.whl"
    if not (cache / name).exists():
        wanted = ["--no-deps", "--ignore-requires-python", f"every-eval-ever=={SCHEMA_VERSION}", "--dest", str(cache)]
        done = subprocess.run(
            [sys.executable, "-m", "pip", "download", "--quiet", *wanted], check=False, capture_output=True, text=True
        )
        if done.returncode:
            (pytest.fail if os.environ.get("CI") else pytest.skip)(f"cannot fetch {name}: {done.stderr[-300:]}")
    with zipfile.ZipFile(cache / name) as wheel:
        found: dict[str, Any] = json.loads(wheel.read("every_eval_ever/schemas/eval.schema.json"))
    assert found["version"] == SCHEMA_VERSION
    return found


def test_records_fit_the_published_schema(runs: dict[str, rs.Run], schema: dict[str, Any], tmp_path: Path) -> None:
    from_the_hub = renamed(runs["single"], tmp_path / "run", {"pico-0.1m": "owner/pico@v1"})
    for run in (*runs.values(), from_the_hub):
        for record in every_eval_ever_of(run).values():
            jsonschema.validate(json.loads(json.dumps(record)), schema)
            with pytest.raises(jsonschema.ValidationError):
                jsonschema.validate(record | {"schema_version": 1}, schema)


def test_each_number_has_its_layer_and_interval(runs: dict[str, rs.Run]) -> None:
    records = every_eval_ever_of(runs["sizes"])
    assert len(records) == 3
    for record in records.values():
        rows = {row["layer"]: row for row in runs["sizes"].summary_rows() if row["model"] == record["model_info"]["id"]}
        results = {one["evaluation_result_id"]: one for one in record["evaluation_results"]}
        assert len(results) == len(record["evaluation_results"])
        for layer, row in rows.items():
            one = results[f"stdlib-docs/layer {layer}/effective_rank"]
            assert one["metric_config"]["metric_parameters"]["layer"] == layer
            assert one["metric_config"]["metric_unit"] == "dimensions"
            assert not one["metric_config"]["lower_is_better"]
            assert one["score_details"]["score"] == row["effective_rank"]
            interval = one["score_details"]["uncertainty"]["confidence_interval"]
            assert (interval["lower"], interval["upper"]) == (row["effective_rank_low"], row["effective_rank_high"])
            assert one["score_details"]["uncertainty"]["num_samples"] == row["texts"]
            loss = results[f"stdlib-docs/layer {layer}/loss"]
            assert loss["metric_config"]["lower_is_better"]


def test_a_record_is_where_its_model_is_looked_for(runs: dict[str, rs.Run], tmp_path: Path) -> None:
    (path,) = every_eval_ever_of(runs["single"])
    assert path.startswith("data/rankscope/local/pico-0.1m/")
    assert list(every_eval_ever_of(runs["single"])) == [path]
    (other,) = every_eval_ever_of(renamed(runs["single"], tmp_path / "run", {"pico-0.1m": "owner/pico@v1"}))
    assert other.startswith("data/rankscope/owner/pico/")


def test_images_have_no_place_there(alignment: rs.Run) -> None:
    with pytest.raises(SettingsError, match="holds no evaluation of texts"):
        every_eval_ever_of(alignment)
