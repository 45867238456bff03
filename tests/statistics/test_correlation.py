from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from rankscope.errors import SettingsError
from rankscope.statistics.correlation import METHODS, Method, correlation, p_value


def models(rng: np.random.Generator, number: int, rho: float) -> np.ndarray:
    return rng.multivariate_normal([0, 0], [[1, rho], [rho, 1]], size=number)


@pytest.mark.parametrize("method", METHODS)
def test_intervals_cover_the_truth(method: str) -> None:
    rng, rho = np.random.default_rng(0), 0.6
    truth = {"pearson": rho, "spearman": 6 / np.pi * np.arcsin(rho / 2), "kendall": 2 / np.pi * np.arcsin(rho)}[method]
    covered = 0
    for _ in range(1000):
        found = correlation(*models(rng, 30, rho).T, method)
        covered += found.low <= truth <= found.high
    assert 925 <= covered <= 975


def test_equals_scipy() -> None:
    x, y = models(np.random.default_rng(1), 12, 0.5).T
    assert correlation(x, y).value == pytest.approx(stats.pearsonr(x, y).statistic)
    assert correlation(x, y, "spearman").value == pytest.approx(stats.spearmanr(x, y).statistic)
    assert correlation(x, y, "kendall").value == pytest.approx(stats.kendalltau(x, y).statistic)
    interval = stats.pearsonr(x, y).confidence_interval()
    assert (correlation(x, y).low, correlation(x, y).high) == pytest.approx((interval.low, interval.high))


def test_fewer_than_five_models_get_no_interval() -> None:
    found = correlation(np.array([1.0, 2.0, 3.0, 5.0]), np.array([2.0, 1.0, 4.0, 6.0]))
    assert (found.low, found.high, found.models) == (None, None, 4)


def test_partial_correlation_takes_out_what_size_explains() -> None:
    """Two metrics that only share their dependence on hidden size."""
    rng = np.random.default_rng(2)
    size = rng.uniform(5, 10, size=60)
    x, y = 3 * size + rng.normal(size=60), -2 * size + rng.normal(size=60)
    assert correlation(x, y).value < -0.9
    partial = correlation(x, y, controls=size)
    assert partial.low < 0 < partial.high
    assert partial.controls == 1
    # The textbook formula from the three pairwise correlations.
    xy, xs, ys = (correlation(*pair).value for pair in ((x, y), (x, size), (y, size)))
    assert partial.value == pytest.approx((xy - xs * ys) / np.sqrt((1 - xs**2) * (1 - ys**2)))
    assert abs(correlation(x, y, "spearman", controls=size).value) < 0.4


def test_perfect_order() -> None:
    found = correlation(np.arange(6.0), np.arange(6.0) ** 3, "kendall")
    assert (found.value, found.low, found.high) == (1, None, None)  # no interval, and not one of no width


@pytest.mark.parametrize(
    ("x", "y", "options", "message"),
    [
        ([1, 2], [1, 2], {}, "at least 3 models more than controls"),
        ([1, 2, 3], [1, 2], {}, "the same models"),
        ([1, 2, 3, 4], [1, 2, 3, 5], {"controls": [[1, 0], [2, 1], [3, 1], [4, 2]]}, "2 controls"),
        ([1, 1, 1], [1, 2, 3], {}, "constant over models"),
        ([2, 4, 6, 8, 10], [1, 5, 2, 4, 3], {"controls": [1, 2, 3, 4, 5]}, "given the controls"),
        ([1, 2, 3], [1, 2, 3], {"method": "tau"}, "got 'tau'"),
    ],
)
def test_what_correlates_with_nothing(x: list, y: list, options: dict, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        correlation(np.array(x, float), np.array(y, float), **options)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("confidence", [0.95, 0.8])
def test_the_p_value_goes_with_the_interval(method: Method, confidence: float) -> None:
    excludes = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        x = rng.normal(size=9)
        found = correlation(x, 0.8 * x + rng.normal(size=9), method, confidence=confidence)
        p = p_value(found)
        assert found.low is not None
        assert found.high is not None
        assert p is not None
        excludes.append(found.low > 0 or found.high < 0)
        assert excludes[-1] == (p < 1 - confidence)
    assert 0 < sum(excludes) < 20


def test_the_p_value_of_ranks_that_agree_wholly() -> None:
    x = np.arange(6.0)
    assert p_value(correlation(x, x**3, "spearman")) == pytest.approx(2 / 720)  # of 6! orders, up and down
    assert p_value(correlation(x[:4], x[:4], "spearman")) is None
