"""Alarms fire where something is wrong, and nowhere else; thresholds are those that are documented."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rankscope.monitoring import Alarms, Monitor
from rankscope.monitoring.curves import Measurement

TEXTS = 8


def measured(step: int, ranks: dict[str, float], loss: float = 5.0) -> Measurement:
    """A probe whose texts differ a little."""
    spread = np.linspace(-0.05, 0.05, TEXTS)
    columns = {(layer, "matrix_entropy"): np.log(rank) + spread for layer, rank in ranks.items()}
    columns |= {(layer, "loss"): loss + spread for layer in ranks}
    return Measurement(step, tuple(range(TEXTS)), columns, {})


def kinds(curve: list[Measurement], alarms: Alarms | None = None) -> list[list[tuple[str, str | None]]]:
    alarms = alarms or Alarms()
    return [
        [(alarm.kind, alarm.layer) for alarm in alarms.check(one, curve[:place])] for place, one in enumerate(curve)
    ]


def test_a_sound_training_is_silent() -> None:
    ranks = [20, 16, 13, 11, 9.5, 8.6, 8.2, 8.5, 9, 9.5, 10, 10.4]
    curve = [measured(10 * place, {"2": rank, "last": 0.9 * rank}, 8 - 0.3 * place) for place, rank in enumerate(ranks)]
    assert not any(kinds(curve))


@pytest.mark.parametrize(("rank", "fires"), [(4.1, False), (3.9, True)])
def test_collapse_is_below_two_fifths_of_the_recent_median(rank: float, fires: bool) -> None:
    before = [measured(place, {"last": 10}, 5 - place) for place in range(3)]
    found = kinds([*before, measured(3, {"last": rank}, 1)])
    assert found == [[], [], [], [("collapse", "last")] if fires else []]


@pytest.mark.parametrize(("rank", "fires"), [(3.1, False), (2.9, True)])
def test_from_the_first_value_it_may_fall_to_fifteen_per_cent(rank: float, fires: bool) -> None:
    """As in the first steps of a sound training, which may lie between two measurements."""
    found = kinds([measured(0, {"last": 20}, 7), measured(100, {"last": rank}, 6)])
    assert found[1] == ([("collapse", "last")] if fires else [])


def test_the_median_is_over_the_window() -> None:
    """What was long ago does not count: a slow fall is no collapse."""
    ranks = [100 * 0.93**place for place in range(40)]
    curve = [measured(place, {"last": rank}, 9 - 0.1 * place) for place, rank in enumerate(ranks)]
    assert ranks[-1] < 0.1 * ranks[0]
    assert not any(kinds(curve, Alarms(floor=None)))
    assert any(kinds(curve, Alarms(floor=None, window=40)))


@pytest.mark.parametrize(("rank", "fires"), [(29, False), (31, True)])
def test_a_jump_is_three_times_the_last_value(rank: float, fires: bool) -> None:
    found = kinds([measured(0, {"last": 10}, 5), measured(1, {"last": rank}, 4)])
    assert found[1] == [("jump", "last")] if fires else found[1] == []


def test_layers_that_part_diverge() -> None:
    curve = [measured(0, {"2": 10, "last": 10}, 5), measured(1, {"2": 17, "last": 6.5}, 4)]  # a factor of 2.6
    assert kinds(curve)[1] == [("divergence", "last")]
    assert kinds(curve, Alarms(divergence=2.7))[1] == []


def test_a_loss_that_does_not_fall_is_told_after_some_patience() -> None:
    rng = np.random.default_rng(0)
    curve = [measured(place, {"last": 10}, 7) for place in range(8)]
    noisy = [
        replace(one, columns=one.columns | {("last", "loss"): one.columns["last", "loss"] + rng.normal(0, 0.01, TEXTS)})
        for one in curve
    ]
    found = kinds(noisy)
    assert found[:5] == [[]] * 5
    assert ("not-learning", None) in found[5]
    falling = [measured(place, {"last": 10}, 7 - 0.05 * place) for place in range(8)]
    assert not any(kinds(falling))


def test_states_that_cannot_be_measured_are_an_alarm_of_their_own() -> None:
    assert kinds([Measurement(0, (), {}, {}, "layer 2: hidden states must be finite")]) == [[("nan", None)]]
    assert kinds([Measurement(0, (), {}, {}, "layer 1: all hidden states are zero")]) == [[("collapse", None)]]


def test_each_can_be_switched_off() -> None:
    curve = [measured(0, {"2": 10, "last": 10}, 5), measured(1, {"2": 100, "last": 1}, 5)]
    assert len(kinds(curve)[1]) == 3
    assert kinds(curve, Alarms(collapse=None, floor=None, jump=None, divergence=None))[1] == []
    assert str(Alarms().check(curve[1], curve[:1])[0]).startswith("step 1, layer 2: jump: effective rank 100")


def test_an_alarm_that_goes_on_is_new_only_once() -> None:
    monitor = Monitor([], None)
    for one in [
        measured(0, {"last": 10}),
        *[measured(step, {"last": 1}) for step in (1, 2)],
        measured(3, {"last": 12}),
    ]:
        monitor.fired += monitor.alarms.check(one, monitor._measured)
        monitor._measured.append(one)
        found = [(alarm.kind, alarm.step) for alarm in monitor.new_alarms]
        assert found == {0: [], 1: [("collapse", 1)], 2: [], 3: [("jump", 3)]}[one.step]
