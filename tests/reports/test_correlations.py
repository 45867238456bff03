from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from rankscope.reports.correlations import correlations_table
from rankscope.statistics import correlation


def rows(number: int) -> list[dict]:
    rng = np.random.default_rng(0)
    return [
        {
            "model": f"m{place}", "hidden_size": 64 * 2**place, "loss": 5 - place + float(rng.normal()),
            "effective_rank": 10 + place + float(rng.normal()), "matrix_nuclear_norm": 0.5,
        }
        for place in range(number)
    ]  # fmt: skip


def test_each_metric_with_size_and_loss() -> None:
    models = rows(6)
    table = correlations_table(models)
    assert [(row["metric"], row["beside"]) for row in table.rows[:3]] == [
        ("eRank", "hidden size"), ("eRank", "loss"), ("eRank", "loss, hidden size held fixed"),
    ]  # fmt: skip
    rank, loss = ([row[key] for row in models] for key in ("effective_rank", "loss"))
    assert table.rows[1]["spearman"] == pytest.approx(stats.spearmanr(rank, loss).statistic)
    assert table.rows[1]["pearson"] == pytest.approx(stats.pearsonr(rank, loss).statistic)
    assert table.rows[1]["pearson_low"] < table.rows[1]["pearson"] < table.rows[1]["pearson_high"]
    assert {row["models"] for row in table.rows} == {6}


def test_what_is_not_defined_is_absent() -> None:
    assert not [row for row in correlations_table(rows(6)).rows if row["metric"] == "MNN"]  # the same for all
    few = correlations_table(rows(4)).rows[0]
    assert few["spearman"] is not None
    assert few["spearman_low"] is None
    assert correlations_table(rows(2)).rows == ()
    same_size = correlations_table([row | {"hidden_size": 64} for row in rows(6)]).rows
    assert {row["beside"] for row in same_size} == {"loss"}


def test_hidden_size_is_held_fixed_from_six_models_on_and_as_its_logarithm() -> None:
    models = rows(6)
    by_name = {row["beside"]: row for row in correlations_table(models).rows if row["metric"] == "eRank"}
    rank, loss, size = (np.array([row[key] for row in models]) for key in ("effective_rank", "loss", "hidden_size"))
    assert by_name["hidden size"]["pearson"] == pytest.approx(stats.pearsonr(rank, np.log(size)).statistic)
    partial = by_name["loss, hidden size held fixed"]["pearson"]
    assert partial == pytest.approx(correlation(rank, loss, controls=np.log(size)).value)
    assert partial != pytest.approx(correlation(rank, loss, controls=size).value, abs=0.01)
    assert {row["beside"] for row in correlations_table(rows(5)).rows} == {"hidden size", "loss"}
