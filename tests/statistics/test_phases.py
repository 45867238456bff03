"""Curves whose change points are known."""

from __future__ import annotations

import numpy as np
import pytest

from rankscope.statistics import find_phases

pytestmark = pytest.mark.slow

STEPS = [10 * 2**place for place in range(14)]
X = np.log(STEPS)


def noisy(curve: np.ndarray, seed: int, fluctuation: float = 0.08, texts: int = 30) -> np.ndarray:
    """Texts differ from each other much, and from checkpoint to checkpoint little."""
    rng = np.random.default_rng(seed)
    of_texts = rng.standard_normal((texts, 1)) + 0.05 * rng.standard_normal((texts, len(curve)))
    return curve + fluctuation * rng.standard_normal(len(curve)) + of_texts


def falls_rises_falls(first: int, second: int) -> np.ndarray:
    rise = np.clip(X, X[first], X[second]) - X[first]
    return -0.5 * np.minimum(X - X[first], 0) + 0.4 * rise - 0.6 * np.maximum(X - X[second], 0)


def test_without_a_change_one_is_found_in_five_per_cent_of_curves() -> None:
    curves, found = 120, 0
    p_values = []
    for seed in range(curves):
        phases = find_phases(STEPS, noisy(0.3 * X, seed, texts=4), seed=seed)
        found += len(phases.phases) > 1
        p_values.append(phases.p_value)
    assert 0 < found <= 0.11 * curves  # 3 standard deviations
    assert np.mean(p_values) == pytest.approx(0.5, abs=0.08)  # uniform, 3 standard deviations


def test_known_phases_are_found_and_their_places_lie_in_the_intervals() -> None:
    curves, right, covered, widths = 24, 0, 0, []
    for seed in range(curves):
        first, second = 3 + seed % 3, 8 + seed % 2
        found = find_phases(STEPS, noisy(falls_rises_falls(first, second), seed), seed=seed)
        one, two, *_ = found.phases
        if [phase.direction for phase in found.phases] == ["falls", "rises", "falls"]:
            right += 1
            inside = [one.end_low <= STEPS[first] <= one.end_high, two.end_low <= STEPS[second] <= two.end_high]
            covered += sum(inside)
            widths += [one.end_high / one.end_low, two.end_high / two.end_low]
    assert right >= 0.8 * curves
    assert covered >= 0.95 * 2 * right
    assert np.median(widths) <= 8  # three doublings


def test_slopes_and_places_without_fluctuation() -> None:
    found = find_phases(STEPS, np.tile(falls_rises_falls(4, 9), (3, 1)) + np.array([[0.0], [1.0], [2.0]]))
    assert [phase.direction for phase in found.phases] == ["falls", "rises", "falls"]
    assert [phase.slope for phase in found.phases] == pytest.approx([-0.5, 0.4, -0.6])
    assert [(phase.start, phase.end) for phase in found.phases] == [
        (STEPS[0], STEPS[4]), (STEPS[4], STEPS[9]), (STEPS[9], STEPS[-1]),
    ]  # fmt: skip
    assert (found.phases[0].end_low, found.phases[0].end_high) == (STEPS[3], STEPS[5])  # the neighbours


def test_a_constant_curve_is_level() -> None:
    (only,) = find_phases(STEPS, np.ones((4, len(STEPS)))).phases
    assert only.direction == "is level"


def test_of_level_curves_one_in_twenty_is_given_a_direction() -> None:
    level = np.zeros(len(STEPS))
    found = [find_phases(STEPS, noisy(level, seed), seed=seed).phases for seed in range(80)]
    whole = [phases[0].direction for phases in found if len(phases) == 1]
    assert sum(direction != "is level" for direction in whole) <= 0.05 * len(whole) + 6  # 3 standard deviations


def test_few_checkpoints_step_0_and_many_checkpoints() -> None:
    assert find_phases([0, 1, 2, 4, 8], np.ones((3, 5))) is None
    steps = [0, 128, 256, 512, 1024, 2048, 4096]
    curve = np.abs(np.log([64, *steps[1:]]) - np.log(256))  # on a line with step 0 at 64
    found = find_phases(steps, noisy(curve, 0, fluctuation=0.01))
    assert [(phase.direction, phase.end) for phase in found.phases] == [("falls", 256), ("rises", 4096)]
    many = list(range(100, 10_100, 100))
    curve = np.abs(np.log(many) - np.log(2000))
    first, *_ = find_phases(many, noisy(curve, 0, fluctuation=0.02)).phases
    assert first.direction == "falls"
    assert 1700 <= first.end <= 2300


def test_the_same_values_and_seed_give_the_same_phases() -> None:
    values = noisy(falls_rises_falls(4, 9), 5)
    assert find_phases(STEPS, values, seed=3) == find_phases(STEPS, values, seed=3)
