from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from rankscope.statistics import METHODS, associations, correlation, fewest_models


def models(number: int) -> list[dict[str, object]]:
    rng = np.random.default_rng(4)
    return [
        {
            "metric": float(rng.normal()) + place,
            "loss": float(rng.normal()) - place,
            "hidden_size": int(64 * 2 ** (place / 2)) + int(rng.integers(0, 40)),
            "length": float(rng.uniform(50, 100)),
        }
        for place in range(number)
    ]


def column(rows: list[dict[str, object]], name: str) -> np.ndarray:
    return np.array([row[name] for row in rows], dtype=float)


def test_the_rule_for_how_many_models() -> None:
    assert [fewest_models(held) for held in (0, 1, 2)] == [3, 6, 7]
    for held in ((), ("length",), ("length", "hidden_size")):
        fewest = fewest_models(len(held))
        assert associations(models(fewest - 1), "metric", "loss", held) == []
        found = associations(models(fewest), "metric", "loss", held)
        assert [one.method for one in found] == list(METHODS)
        assert {(one.models, one.controls) for one in found} == {(fewest, len(held))}
        assert all((one.low is None) == (not held) for one in found)  # a partial one comes with its interval


def test_hidden_size_enters_as_its_logarithm_wherever_it_stands() -> None:
    rows = models(9)
    log = np.log(column(rows, "hidden_size"))
    for names in (("metric", "hidden_size"), ("hidden_size", "metric")):
        (plain,) = associations(rows, *names, methods=("pearson",))
        assert plain.value == pytest.approx(stats.pearsonr(column(rows, "metric"), log).statistic)
    (partial,) = associations(rows, "metric", "loss", ("hidden_size",), ("pearson",))
    x, y = column(rows, "metric"), column(rows, "loss")
    xy, xs, ys = (stats.pearsonr(*pair).statistic for pair in ((x, y), (x, log), (y, log)))
    assert partial.value == pytest.approx((xy - xs * ys) / np.sqrt((1 - xs**2) * (1 - ys**2)))


def test_models_without_one_of_the_columns_are_left_out() -> None:
    rows = models(8)
    rows[2]["loss"] = None
    del rows[5]["metric"]
    rows[6]["length"] = None
    (plain,) = associations(rows, "metric", "loss", methods=("spearman",))
    assert plain.models == 6
    kept = [row for place, row in enumerate(rows) if place not in (2, 5)]
    assert plain.value == correlation(column(kept, "metric"), column(kept, "loss"), "spearman").value
    assert associations(rows, "metric", "loss", ("length",)) == []  # five
    assert associations(rows, "metric", "absent") == []


@pytest.mark.parametrize("constant", ["metric", "loss", "length"])
def test_what_is_the_same_for_all_models_gives_nothing(constant: str) -> None:
    rows = [row | {constant: 3.0} for row in models(8)]
    assert associations(rows, "metric", "loss", ("length",)) == []


def test_a_method_is_left_out_where_what_is_held_fixed_explains_everything() -> None:
    rows = [row | {"length": float(row["metric"]) ** 3} for row in models(8)]  # the same ranks, another line
    assert [one.method for one in associations(rows, "metric", "loss", ("length",))] == ["pearson"]
