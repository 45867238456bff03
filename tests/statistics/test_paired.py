from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from rankscope.errors import SettingsError
from rankscope.statistics.paired import common_texts, paired_difference, paired_on

pytestmark = pytest.mark.slow


def test_the_test_holds_its_level_under_the_null() -> None:
    rng = np.random.default_rng(0)
    rejected = 0
    for repetition in range(400):
        text = rng.normal(0, 2, size=25)
        a, b = text + rng.laplace(size=25), text + rng.laplace(size=25)
        rejected += paired_difference(a, b, seed=repetition).p_value < 0.05
    assert 8 <= rejected <= 32  # 20 expected; the binomial's central 99.5 %


def test_a_small_difference_is_found_because_texts_are_paired() -> None:
    rng = np.random.default_rng(1)
    text = rng.normal(0, 5, size=40)
    found = paired_difference(text + 0.3 + rng.normal(0, 0.2, 40), text)
    assert found.p_value < 0.001
    assert found.low < 0.3 < found.high
    assert found.low > 0
    assert found.texts == 40


def test_by_hand() -> None:
    found = paired_difference(np.array([1.0, 2.0, 4.0]), np.array([0.0, 0.0, 1.0]))
    assert found.difference == pytest.approx(2.0)
    assert found.p_value == pytest.approx(2 / 8)  # all signs one way: 2 of the 8 flips are as extreme
    same = paired_difference(np.array([1.0, 2.0]), np.array([1.0, 2.0]))
    assert (same.difference, same.low, same.high, same.p_value) == (0, 0, 0, 1)


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        ([1.0, 2.0], [1.0], "the same texts on both sides, at least 2"),
        ([1.0], [1.0], "at least 2"),
        ([1.0, np.nan], [1.0, 2.0], "finite"),
    ],
)
def test_what_is_no_pair(a: list[float], b: list[float], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        paired_difference(np.array(a), np.array(b))


def measured(losses: dict[str, float | None], failed: str = "") -> pl.DataFrame:
    return pl.DataFrame(
        {
            "text_id": list(losses),
            "text_index": range(len(losses)),
            "role": "trained",
            "seed": None,
            "status": ["failed" if name == failed else "ok" for name in losses],
            "loss": losses.values(),
        },
        schema_overrides={"seed": pl.Int64, "loss": pl.Float64},
    )


def test_tables_are_paired_over_the_texts_that_both_could_measure() -> None:
    base = measured({"a": 1.0, "b": 2.0, "c": 4.0, "d": 8.0})
    other = measured({"c": 5.0, "e": 9.0, "a": 3.0, "b": 7.0}, failed="b")
    common = common_texts(base, other)
    assert dict(common.select("text_id", "loss/other").iter_rows()) == {"a": 3.0, "c": 5.0}
    found = paired_on(common, "loss")
    assert (found.difference, found.texts) == (1.5, 2)  # (3 - 1 + 5 - 4) / 2: the other minus the base


def test_without_two_texts_or_with_a_missing_number_nothing_is_paired() -> None:
    base = measured({"a": 1.0, "b": 2.0, "c": 4.0})
    assert paired_on(common_texts(base, measured({"a": 1.0, "z": 2.0})), "loss") is None
    assert paired_on(common_texts(base, measured({"a": 1.0, "b": None, "c": 2.0})), "loss") is None
    assert paired_on(common_texts(measured({"a": 1.0, "b": None}), base), "loss") is None
