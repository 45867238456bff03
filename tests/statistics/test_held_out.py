from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from rankscope.statistics.held_out import (
    error_matrix,
    mean_error_matrix,
    r_squared,
    r_squared_interval,
    spearman,
    spearman_interval,
)

GROUPS = np.array([0, 0, 1, 1, 1, 2, 2, 3])


def data(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=len(GROUPS))
    return np.column_stack([np.ones(len(GROUPS)), x]), x + rng.normal(size=len(GROUPS))


def test_errors_are_those_of_fits_without_the_group() -> None:
    design, target = data()
    errors = error_matrix(design, GROUPS) @ target
    for group in range(4):
        out = group == GROUPS
        line = stats.linregress(design[~out, 1], target[~out])
        assert errors[out] == pytest.approx(target[out] - line.intercept - line.slope * design[out, 1])


def test_r_squared_compares_with_the_mean_of_the_other_groups() -> None:
    target = np.array([1.0, 3.0, 8.0])
    from_mean = mean_error_matrix(np.arange(3)) @ target
    assert from_mean == pytest.approx([1 - 5.5, 3 - 4.5, 8 - 2.0])
    errors = np.array([1.0, -1.0, 2.0])
    assert r_squared(errors, from_mean) == pytest.approx(1 - 6 / (4.5**2 + 1.5**2 + 6**2))
    assert r_squared(from_mean, from_mean) == 0


def test_intervals_are_a_jackknife_over_groups() -> None:
    design, target = data()
    errors, from_mean = error_matrix(design, GROUPS) @ target, mean_error_matrix(GROUPS) @ target
    kept = [group != GROUPS for group in range(4)]
    whole = np.log((errors**2).sum() / (from_mean**2).sum())
    without = np.array([np.log((errors[one] ** 2).sum() / (from_mean[one] ** 2).sum()) for one in kept])
    reach = stats.t.ppf(0.975, 3) * np.sqrt(3 / 4 * ((without - whole) ** 2).sum())
    expected = (1 - np.exp(whole + reach), 1 - np.exp(whole - reach))
    assert r_squared_interval(errors, from_mean, GROUPS) == pytest.approx(expected)

    predicted = target - errors
    whole = stats.spearmanr(target, predicted).statistic
    without = np.array([stats.spearmanr(target[one], predicted[one]).statistic for one in kept])
    reach = stats.t.ppf(0.975, 3) * np.sqrt(3 / 4 * ((without - whole) ** 2).sum())
    low, high = spearman_interval(target, predicted, GROUPS)
    assert (low, high) == pytest.approx((max(-1, whole - reach), min(1, whole + reach)))


def test_there_is_no_interval_where_there_is_no_width_to_see() -> None:
    design, target = data()
    two = np.minimum(GROUPS, 1)
    errors, from_mean = error_matrix(design, two) @ target, mean_error_matrix(two) @ target
    assert r_squared_interval(errors, from_mean, two) == (None, None)
    assert r_squared_interval(np.zeros(8), mean_error_matrix(GROUPS) @ target, GROUPS) == (None, None)
    assert spearman_interval(target, 2 * target, GROUPS) == (None, None)  # 1, whichever group is left out


def test_a_constant_has_no_ranks() -> None:
    assert spearman(np.array([1.0, 2.0, 3.0]), np.ones(3)) is None
    assert spearman(np.array([1.0, 2.0]), np.array([1.0, 2.0])) is None
    assert spearman(np.array([1.0, 2.0, 3.0]), np.array([3.0, 5.0, 4.0])) == pytest.approx(0.5)
