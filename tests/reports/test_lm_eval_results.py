from __future__ import annotations

import json
from pathlib import Path

import pytest

import rankscope as rs
from made_up import renamed
from rankscope.errors import SettingsError
from rankscope.reports import lm_eval_results_of, save_records

pytestmark = pytest.mark.slow


def test_the_harness_reads_them_as_its_own(runs: dict[str, rs.Run], tmp_path: Path) -> None:
    utils = pytest.importorskip("lm_eval.utils")
    files = save_records(lm_eval_results_of(runs["sizes"]), tmp_path)
    assert utils.get_results_filenames([str(file) for file in files]) == [str(file) for file in files]
    for file in files:
        content = json.loads(file.read_text())
        table = [
            [cell.strip() for cell in line.split("|")[1:-1]] for line in utils.make_table(content).splitlines()[2:]
        ]
        rows = [row for row in runs["sizes"].summary_rows() if row["model"] == content["model_name"]]
        assert [line[0] for line in table if line[0]] == [f"stdlib-docs, layer {row['layer']}" for row in rows]
        ranks = [line for line in table if line[4] == "effective_rank"]
        assert [line[6] for line in ranks] == [f"{row['effective_rank']:.4f}" for row in rows]
        losses = [line for line in table if line[4] == "loss"]
        assert {line[5] for line in losses} == {"↓"}
        assert {line[5] for line in ranks} == {""}


def test_numbers_and_samples(runs: dict[str, rs.Run], tmp_path: Path) -> None:
    run = renamed(runs["single"], tmp_path / "run", {"pico-0.1m": "owner/pico"})
    ((path, content),) = lm_eval_results_of(run).items()
    assert path.startswith("owner__pico/results_")
    (row,) = run.summary_rows()
    numbers = content["results"]["stdlib-docs, layer last"]
    assert numbers["diff_erank,none"] == row["diff_erank"]
    assert numbers["loss_low,none"] == row["loss_low"]
    assert content["n-samples"]["stdlib-docs, layer last"] == {"original": 12, "effective": 12}
    assert content["config"]["model_args"]["pretrained"] == "owner/pico"


def test_images_have_no_place_there(alignment: rs.Run) -> None:
    with pytest.raises(SettingsError, match="holds no evaluation of texts"):
        lm_eval_results_of(alignment)
