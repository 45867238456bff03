from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

import rankscope as rs
from rankscope.studies.measuring import folder_name, with_differences, with_published


def test_published_columns_are_there_only_where_something_is_printed() -> None:
    table = pl.DataFrame({"model": ["a", "b"]})
    found = with_published(table, lambda row: {"loss": 1.5 if row["model"] == "b" else None, "diff_erank": None})
    assert found.columns == ["model", "loss_published"]
    assert found["loss_published"].to_list() == [None, 1.5]


def test_differences_are_paired_over_the_texts_of_both(tmp_path: Path) -> None:
    settings = {"limit": 6, "untrained_seeds": 0}
    runs = {
        name: rs.evaluate("pico-0.1m", "stdlib-docs", output=tmp_path / name, perturbation=order, **settings)
        for name, order in (("base", None), ("other", "tokens-reversed"))
    }
    table = pl.DataFrame([{"condition": name} | run.summary().row(0, named=True) for name, run in runs.items()])
    found = with_differences(table, runs, "base", ["loss"])
    one, two = (run.measurements().sort("text_index")["loss"] for run in runs.values())
    assert found["loss_difference"].to_list() == [None, pytest.approx((two - one).mean())]
    row = found.row(1, named=True)
    assert row["loss_difference_low"] < row["loss_difference"] < row["loss_difference_high"]
    assert 0 < row["loss_difference_p"] < 0.05  # all six texts get worse: 2 of 2^6 flips are as extreme
    assert row["loss_difference_p"] == pytest.approx(2 / 64)


def test_names_of_models_become_names_of_files() -> None:
    assert folder_name("facebook/opt-125m@main") == "facebook-opt-125m@main"
    assert folder_name("../..") == "unnamed"
