from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from rankscope.statistics import Share, correlation, share_explained, within_groups

X = np.array([1.0, 2, 4, 11, 13, 14, 20, 23, 22])
Y = np.array([5.0, 3, 2, 30, 29, 25, 9, 7, 8])
GROUPS = list("aaabbbccc")


def test_pearson_within_groups_is_that_of_deviations_from_each_groups_mean() -> None:
    means = [np.repeat([column[start : start + 3].mean() for start in (0, 3, 6)], 3) for column in (X, Y)]
    expected = stats.pearsonr(X - means[0], Y - means[1]).statistic
    found = within_groups(X, Y, GROUPS, "pearson")
    assert found is not None
    assert found.value == pytest.approx(expected, abs=1e-10)
    assert found.controls == 2


def test_a_direction_between_groups_does_not_count() -> None:
    x = np.array([1.0, 2, 3, 11, 12, 13])
    y = np.array([3.0, 2, 1, 13, 12, 11])
    assert correlation(x, y).value > 0.9
    for method in ("pearson", "spearman", "kendall"):
        found = within_groups(x, y, list("aaabbb"), method)
        assert found is not None
        assert found.value == pytest.approx(-1)  # ties of what is left are no order


def test_one_group_is_a_plain_correlation() -> None:
    assert within_groups(X, Y, ["a"] * 9, "spearman") == correlation(X, Y, "spearman")


def test_too_few_points_or_no_variation_is_none() -> None:
    assert within_groups(X[:4], Y[:4], list("aabb")) is not None
    assert within_groups(X[:3], Y[:3], list("aab")) is None
    assert within_groups(np.array([1.0, 1, 2, 2, 3, 3]), Y[:6], list("aabbcc"), "pearson") is None


def test_a_share_is_r_squared_with_the_ends_of_rs_interval_squared() -> None:
    x, y = np.array([1.0, 2, 3, 4, 5, 6]), np.array([1.0, 2.2, 2.9, 4.1, 4.8, 6.3])
    r, share = correlation(x, y), share_explained(x, y)
    assert share is not None
    assert r.low is not None
    assert share == Share(r.value, r.value**2, r.low**2, r.high**2)
    assert share_explained(x, -y) == Share(-r.value, share.value, share.low, share.high)


def test_a_share_begins_at_0_where_the_direction_is_not_known() -> None:
    x, y = np.arange(5.0), np.array([2.0, 1, 3, 0, 4])
    share = share_explained(x, y)
    assert share is not None
    assert share.low == 0
    assert share.high is not None
    assert share.value == pytest.approx(0.09)
    assert share.high == pytest.approx(math.tanh(math.atanh(0.3) + 1.959964 / math.sqrt(2)) ** 2, abs=1e-6)


def test_a_share_of_few_or_equal_groups() -> None:
    assert share_explained(X[:2], Y[:2]) is None
    assert share_explained(np.ones(4), Y[:4]) is None
    few = share_explained(X[:4], Y[:4])
    assert few is not None
    assert few.low is None
