from __future__ import annotations

import numpy as np
import pytest

from rankscope.errors import SettingsError
from rankscope.statistics.paired import paired_difference


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
        ([1.0, 2.0], [1.0], "the same 2 or more texts"),
        ([1.0], [1.0], "2 or more"),
        ([1.0, np.nan], [1.0, 2.0], "finite"),
    ],
)
def test_what_is_no_pair(a: list[float], b: list[float], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        paired_difference(np.array(a), np.array(b))
