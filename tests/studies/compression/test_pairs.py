from __future__ import annotations

import math

import polars as pl
import pytest
from scipy import stats

from rankscope.studies.compression.pairs import change_of, effective_rank_of, in_standard_errors, on_common_texts


def measured(values: dict[str, float], metric: str = "loss") -> pl.DataFrame:
    return pl.DataFrame({"text_id": list(values), "layer": ["last"] * len(values), metric: list(values.values())})


BEFORE = measured({"a": 1.0, "b": 2.0, "c": 4.0, "d": 9.0})
AFTER = measured({"d": 9.5, "b": 2.25, "a": 1.5, "e": 7.0, "c": 4.75})  # another order, and another text


def test_texts_are_paired_by_name() -> None:
    before, after = on_common_texts(*(table.select("text_id", value="loss") for table in (BEFORE, AFTER)))
    assert (after - before).tolist() == [0.5, 0.25, 0.75, 0.5]


def test_the_change_is_the_mean_of_the_differences() -> None:
    change = change_of(BEFORE, AFTER, "loss")
    assert (change.difference, change.texts) == (0.5, 4)
    assert change.low < 0.5 < change.high


def test_the_size_in_standard_errors_is_students_t() -> None:
    t = stats.ttest_1samp([0.5, 0.25, 0.75, 0.5], 0).statistic
    assert in_standard_errors(BEFORE, AFTER, "loss") == pytest.approx(t)
    assert in_standard_errors(BEFORE, BEFORE, "loss") is None


def test_the_effective_rank_is_that_of_the_mean_entropy() -> None:
    table = measured({"a": math.log(4), "b": math.log(9)}, "matrix_entropy")
    assert effective_rank_of(table) == pytest.approx(6)
