"""Phases of a training: the steps at which a curve changes direction, with their uncertainty.

The curve is continuous and piecewise linear in the logarithm of the step, with changes of slope at some of the
checkpoints. The number of changes is tested: a change is added as long as more changes fit better than expected for
straight pieces with Gaussian fluctuation. Without any change, the whole procedure finds one in 5 % of cases.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from rankscope.statistics.bootstrap import Numbers, percentile_interval, resampled_means

FEWEST_CHECKPOINTS = 6
LEVEL = 0.05
_SIMULATIONS = 999
_RESAMPLES = 1000
_MOST_CHANGES = 3
_MOST_PLACES = 36  # among which changes are sought; more are thinned out
_NOTHING = 1e-9  # a fluctuation that is rounding, as a share of the curve's values


@dataclass(frozen=True)
class Phase:
    """A piece of a curve.

    Attributes:
        direction: `rises`, `falls`, or `is level`, where the interval of its slope holds zero.
        slope: of the curve, for each factor e of steps.
        start: its first step.
        end: its last step, where the slope changes; the last checkpoint's for the last phase.
        end_low: of the end's interval.
        end_high: of the end's interval.
    """

    direction: str
    slope: float
    start: int
    end: int
    end_low: int
    end_high: int


@dataclass(frozen=True)
class Phases:
    """A curve in pieces.

    Attributes:
        phases: one or more.
        p_value: of the hypothesis that there is no change, against one or more.
        checkpoints: of the curve.
    """

    phases: tuple[Phase, ...]
    p_value: float
    checkpoints: int


def find_phases(steps: Sequence[int], values: Numbers, *, seed: int = 0) -> Phases | None:
    """The phases of the mean of values over texts; None for fewer than six checkpoints.

    With k changes the fit has 2 + 2k parameters, and k is at most 3 and leaves two degrees of freedom. From k = 0 on,
    the hypothesis of k changes is rejected where the largest F statistic of more changes exceeds 95 % of those of
    curves that are simulated from the fit with k changes; k is the first that is not rejected. For k = 0 this test is
    exact with independent Gaussian fluctuation of the checkpoints, whatever the line. It is a sup-F test in the manner
    of Bai and Perron (1998, Econometrica 66), with simulation in place of asymptotics.

    Intervals are percentiles over refits with k changes of curves with resampled texts and simulated fluctuation,
    widened to the neighbouring checkpoints, between which nothing was looked at.

    Args:
        steps: of the checkpoints, ascending; a step 0 stands at half of the first other step.
        values: (texts, checkpoints), the same texts at every checkpoint.
        seed: of simulations; the same values and seed give the same phases.
    """
    if len(steps) < FEWEST_CHECKPOINTS:
        return None
    x = np.log([step or steps[1] / 2 for step in steps])
    curve, rng = values.mean(axis=0), np.random.default_rng(seed)
    most = min(_MOST_CHANGES, (len(steps) - 4) // 2)
    designs = [_designs(x, count) for count in range(most + 1)]
    count, p_value = 0, 1.0
    while count < most:
        p = _p_of_no_more(designs, count, curve, rng)
        p_value = p if count == 0 else p_value
        if p > LEVEL:
            break
        count += 1
    return Phases(_phases(steps, x, designs[count], values, rng), p_value, len(steps))


@dataclass(frozen=True)
class _Designs:
    """All ways to place some changes: the places, and an orthonormal basis of the curves of each.

    Attributes:
        places: (ways, changes), numbers of checkpoints.
        bases: (ways, checkpoints, 2 + changes).
    """

    places: NDArray[np.intp]
    bases: Numbers

    @property
    def freedom(self) -> int:
        """Degrees of freedom that are left; a place counts as a parameter."""
        return int(self.bases.shape[1] - 2 - 2 * self.places.shape[1])

    def best(self, curves: Numbers) -> tuple[NDArray[np.intp], Numbers]:
        """Of each curve (curves, checkpoints) the way that fits best, and what it leaves: a sum of squares."""
        centred = curves - curves.mean(axis=1, keepdims=True)  # every basis holds the constant
        best, least = np.zeros(len(curves), dtype=np.intp), np.full(len(curves), np.inf)
        for way, basis in enumerate(self.bases):
            left = ((centred - (centred @ basis) @ basis.T) ** 2).sum(axis=1)
            better = left < least
            best[better], least[better] = way, left[better]
        return best, least

    def fitted(self, curve: Numbers) -> tuple[int, Numbers, float]:
        """The best way of one curve, its fit, and the standard deviation of what it leaves."""
        (way,), (left,) = self.best(curve[None])
        basis = self.bases[way]
        return int(way), basis @ (basis.T @ curve), float(np.sqrt(left / self.freedom))


def _designs(x: Numbers, changes: int) -> _Designs:
    inner = np.arange(1, len(x) - 1)
    if len(inner) > _MOST_PLACES:
        inner = inner[np.linspace(0, len(inner) - 1, _MOST_PLACES).round().astype(int)]
    ways = list(combinations(inner, changes))
    places = np.array(ways, dtype=np.intp).reshape(len(ways), changes)
    bases = [np.linalg.qr(_columns(x, way))[0] for way in places]
    return _Designs(places, np.stack(bases))


def _columns(x: Numbers, way: NDArray[np.intp]) -> Numbers:
    """A constant, a slope, and what the slope changes by from each place on."""
    return np.column_stack([np.ones_like(x), x - x[0], *(np.maximum(x - x[place], 0) for place in way)])


def _p_of_no_more(designs: Sequence[_Designs], count: int, curve: Numbers, rng: np.random.Generator) -> float:
    """The p-value of a number of changes against all larger numbers."""
    _, fit, sigma = designs[count].fitted(curve)
    if sigma <= _NOTHING * float(np.abs(curve).max()):
        return 1.0
    simulated = fit + sigma * rng.standard_normal((_SIMULATIONS, len(curve)))
    statistics = _largest_f(designs, count, np.vstack([curve, simulated]))
    return float((1 + (statistics[1:] >= statistics[0]).sum()) / (1 + _SIMULATIONS))


def _largest_f(designs: Sequence[_Designs], count: int, curves: Numbers) -> Numbers:
    _, least = designs[count].best(curves)
    found = []
    for more in range(count + 1, len(designs)):
        _, left = designs[more].best(curves)
        left = np.maximum(left, np.finfo(float).tiny)
        found.append((least - left) / (2 * (more - count)) / (left / designs[more].freedom))
    return np.max(found, axis=0)  # type: ignore[no-any-return]


def _phases(
    steps: Sequence[int], x: Numbers, designs: _Designs, values: Numbers, rng: np.random.Generator
) -> tuple[Phase, ...]:
    curve = values.mean(axis=0)
    way, fit, sigma = designs.fitted(curve)
    places = designs.places[way]
    curves = fit + resampled_means(values, resamples=_RESAMPLES, rng=rng) - curve
    # The fluctuation's size is an estimate from few checkpoints: with a drawn one, the slopes have Student's t.
    sizes = sigma * np.sqrt(designs.freedom / rng.chisquare(designs.freedom, size=(_RESAMPLES, 1)))
    curves += sizes * rng.standard_normal(curves.shape)
    ways, _ = designs.best(curves)
    slopes = np.array([_slopes(x, designs.places[one], sample) for one, sample in zip(ways, curves, strict=True)])
    last, rounding = len(steps) - 1, _NOTHING * float(np.abs(curve).max())
    starts, found = [0, *places], []
    for number, (start, slope) in enumerate(zip(starts, _slopes(x, places, curve), strict=True)):
        low, high = percentile_interval(slopes[:, number])
        direction = "rises" if low > rounding else "falls" if high < -rounding else "is level"
        end = ends = (last, last)
        if number < len(places):
            first, final = percentile_interval(designs.places[ways, number].astype(np.float64))
            end = (places[number], places[number])
            ends = (max(0, int(np.floor(first)) - 1), min(last, int(np.ceil(final)) + 1))
        found.append(Phase(direction, float(slope), steps[start], steps[end[0]], steps[ends[0]], steps[ends[1]]))
    return tuple(found)


def _slopes(x: Numbers, way: NDArray[np.intp], curve: Numbers) -> Numbers:
    """Of each piece of the best fit with changes at these places."""
    coefficients = np.linalg.lstsq(_columns(x, way), curve, rcond=None)[0]
    return np.cumsum(coefficients[1:])
