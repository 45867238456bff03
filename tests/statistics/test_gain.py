from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from rankscope.statistics.gain import Gain, curves, gain_of, intercepts_of
from rankscope.statistics.held_out import error_matrix

FAMILIES = np.repeat([0, 1, 2, 3], [5, 4, 5, 4])


def sample(seed: int, extra: float = 1.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A metric, a target and a baseline."""
    rng = np.random.default_rng(seed)
    baseline, own = rng.normal(size=len(FAMILIES)), rng.normal(size=len(FAMILIES))
    noise = 0.3 * rng.normal(size=len(FAMILIES)) + 0.3 * rng.normal(size=4)[FAMILIES]
    return 10 + baseline + own, baseline + extra * own + noise, baseline


def gain(seed: int, extra: float = 1.0) -> Gain:
    return gain_of(*sample(seed, extra), FAMILIES, FAMILIES)


def test_the_gain_is_the_difference_of_two_r_squared() -> None:
    metric, target, baseline = sample(1)
    sst, with_it = 0.0, 0.0
    alone = []
    for degree in (1, 2, 3):
        design = np.vander(baseline, degree + 1)
        alone.append(squares_left_out(design, target))
    best = np.vander(baseline, 2 + int(np.argmin(alone)))
    sst = squares_left_out(np.ones((len(target), 1)), target)
    with_it = squares_left_out(np.column_stack([best, metric]), target)
    assert gain(1).value == pytest.approx((min(alone) - with_it) / sst)


def squares_left_out(design: np.ndarray, target: np.ndarray) -> float:
    total = 0.0
    for family in range(4):
        out = family == FAMILIES
        fit = np.linalg.lstsq(design[~out], target[~out], rcond=None)[0]
        total += float(((target[out] - design[out] @ fit) ** 2).sum())
    return total


def test_the_coefficient_is_that_of_a_fit_with_an_intercept_for_each_family() -> None:
    metric, target, baseline = sample(2)
    found = gain(2)
    design = np.column_stack([metric / metric.std(), *(one == FAMILIES for one in range(4)), np.vander(baseline, 4)])
    design = design[:, :-1]  # the families hold the constant
    standard = target / target.std()
    fit = np.linalg.lstsq(design, standard, rcond=None)[0]
    freedom = len(target) - design.shape[1]
    variance = float(((standard - design @ fit) ** 2).sum()) / freedom
    assert found.freedom == freedom
    assert found.coefficient == pytest.approx(fit[0])
    assert found.error == pytest.approx(np.sqrt(variance * np.linalg.inv(design.T @ design)[0, 0]))


def test_other_intercepts_of_families_change_no_coefficient() -> None:
    metric, target, baseline = sample(3)
    moved = gain_of(metric, target + np.array([5.0, -3.0, 0.0, 9.0])[FAMILIES], baseline, FAMILIES, FAMILIES)
    same = gain_of(metric, target, baseline, FAMILIES, FAMILIES)
    assert moved.coefficient / moved.error == pytest.approx(same.coefficient / same.error)


@pytest.mark.parametrize("level", [0.05, 0.01])
def test_the_interval_holds_the_gain_and_is_above_0_where_the_p_value_is_below_its_level(level: float) -> None:
    above = []
    for seed in range(30):
        found = gain(seed, extra=(0.0, 0.3, 0.6)[seed % 3])
        interval, p_value = found.interval(level), found.p_value
        assert interval is not None
        assert p_value is not None
        assert interval[0] <= found.value <= interval[1]
        assert (interval[0] > 0) == (p_value < level)
        test = 2 * stats.t.sf(abs(found.coefficient) / found.error, found.freedom)
        assert p_value >= test * (1 - 1e-9)  # a coefficient is not enough: it has to predict
        above.append(interval[0] > 0)
    assert 0 < sum(above) < 30


def test_the_interval_holds_what_the_true_coefficient_would_gain() -> None:
    held = 0
    for seed in range(200):
        metric, target, baseline = sample(seed)
        found = gain_of(metric, target, baseline, FAMILIES, FAMILIES)
        low, high = found.interval(0.05) or (np.nan, np.nan)
        true = metric.std() / target.std()  # the target has the metric's own part once
        held += bool(low <= found.at(np.array([true]))[0] <= high)
    assert held >= 182  # the lowest 0.3 % of what 200 intervals of 95 % hold


def test_curves_leave_room_for_the_coefficient() -> None:
    one = np.zeros(20, dtype=int)
    assert [len(curves(np.arange(number) * 1.0, one[:number])) for number in (5, 7, 8, 9, 20)] == [1, 1, 2, 3, 3]
    assert len(curves(np.arange(8) * 1.0, np.repeat([0, 1], 4))) == 1


def test_families_of_one_model_cannot_be_told_apart() -> None:
    assert intercepts_of(np.arange(6)).shape == (6, 1)
    assert intercepts_of(np.array([0, 0, 1])).tolist() == [[1, 0], [1, 0], [0, 1]]


def test_too_little_to_tell() -> None:
    metric, target, baseline = sample(4)
    by_family = np.array([1.0, 4.0, 2.0, 3.0])[FAMILIES]
    for one, other in ((by_family, target), (baseline, target), (metric, by_family)):
        found = gain_of(one, other, baseline, FAMILIES, FAMILIES)
        assert (found.interval(0.05), found.p_value) == (None, None)
        assert np.isfinite(found.value)
    few = np.array([0, 0, 1, 2, 3])
    assert gain_of(metric[:5], target[:5], baseline[:5], few, np.arange(5)).p_value is None


def test_a_metric_that_is_the_target_gains_what_there_is() -> None:
    _, target, baseline = sample(5)
    found = gain_of(target, target, baseline, FAMILIES, FAMILIES)
    low, high = found.interval(0.05) or (np.nan, np.nan)
    alone = 1 - found.value
    standard = (target - target.mean()) / target.std()
    from_mean = error_matrix(np.ones((len(target), 1)), FAMILIES) @ standard
    assert low == pytest.approx(high) == pytest.approx(found.value)
    assert ((found.without @ standard) ** 2).sum() / (from_mean**2).sum() == pytest.approx(1 - alone)
