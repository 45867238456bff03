from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

import rankscope as rs
from rankscope.studies.conditions import folder_name, with_differences, with_published, with_tokens_per_text

pytestmark = pytest.mark.slow


def test_published_columns_are_there_only_where_something_is_printed() -> None:
    table = pl.DataFrame({"model": ["a", "b"]})
    found = with_published(table, lambda row: {"loss": 1.5 if row["model"] == "b" else None, "diff_erank": None})
    assert found.columns == ["model", "loss_published"]
    assert found["loss_published"].to_list() == [None, 1.5]


def test_published_values_stand_beside_their_own_layer_only() -> None:
    table = pl.DataFrame({"model": ["a"] * 3, "layer": ["0", "3", "last"]})
    found = with_published(table, lambda _: {"loss": 1.5})
    assert found["loss_published"].to_list() == [None, None, 1.5]


def test_no_texts_have_no_length() -> None:
    assert with_tokens_per_text(pl.DataFrame({"tokens": [0, 30], "texts": [0, 10]}))["tokens_per_text"].to_list() == [
        None,
        3.0,
    ]


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
    assert folder_name("pico@step-128") == "pico@step-128"
    assert folder_name("facebook/opt-125m@main").startswith("facebook-opt-125m@main-")
    names = [folder_name(name) for name in ("a/b", "a-b", "a b", "../..", "..", "x" * 300, "x" * 301)]
    assert len(set(names)) == len(names)
    assert all(len(name) < 100 and name[0] not in ".-" for name in names)
