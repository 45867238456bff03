"""Phases of a training run: the steps at which a curve changes its slope, with their uncertainty.

The curve is modelled as continuous and piecewise linear in the logarithm of the step, with changes of slope at some of
the checkpoints. Changes are added one at a time, as long as the fit with more changes is better than expected from
Gaussian fluctuation around the present fit. If there is no change, the procedure finds one in 5 % of cases.
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
_MOST_PLACES = 36  # candidate checkpoints for changes; more are thinned out evenly
_NOTHING = 1e-9  # relative to the curve's values; a smaller fluctuation is considered rounding


@dataclass(frozen=True)
class Phase:
    """One linear piece of a curve.

    Attributes:
        direction: `rises`, `falls`, or `is level` if the interval of the slope contains 0.
        slope: Change of the curve per unit of log(step), that is, per factor e of steps.
        start: The first step.
        end: The last step, at which the slope changes; for the last phase, the step of the last checkpoint.
        end_low: Lower end of the interval of `end`.
        end_high: Upper end of the interval of `end`.
    """

    direction: str
    slope: float
    start: int
    end: int
    end_low: int
    end_high: int


@dataclass(frozen=True)
class Phases:
    """The phases of a curve.

    Attributes:
        phases: One or more phases, in order.
        p_value: p-value of no change, against one or more changes.
        checkpoints: Number of checkpoints.
    """

    phases: tuple[Phase, ...]
    p_value: float
    checkpoints: int


def find_phases(steps: Sequence[int], values: Numbers, *, seed: int = 0) -> Phases | None:
    """The phases of the mean of values over texts; None for fewer than six checkpoints.

    A fit with k changes has 2 + 2k parameters; k is at most 3, and small enough to leave two degrees of freedom.
    Starting from k = 0, the hypothesis of k changes is rejected if the largest F statistic of more changes exceeds
    that of 95 % of the curves simulated from the fit with k changes. The result is the first k that is not rejected.
    For k = 0 the test is exact for any line, if the fluctuation of the checkpoints is Gaussian and independent. It is a
    sup-F test in the manner of Bai and Perron (1998, Econometrica 66), with simulation in place of asymptotics.

    Intervals are percentiles over fits with k changes to curves with resampled texts and simulated fluctuation. Those
    of `end` are widened to the neighbouring checkpoints, as changes are only considered at checkpoints.

    Args:
        steps: Steps of the checkpoints, ascending; step 0 is replaced by half of the next step.
        values: (texts, checkpoints), the same texts at every checkpoint.
        seed: Seed of the simulations; the same values and seed give the same phases.
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
    """All ways to place a number of changes, each with an orthonormal basis of its curves.

    Attributes:
        places: (ways, changes), indices of checkpoints.
        bases: (ways, checkpoints, 2 + changes).
    """

    places: NDArray[np.intp]
    bases: Numbers

    @property
    def freedom(self) -> int:
        """Residual degrees of freedom; the place of a change counts as a parameter."""
        return int(self.bases.shape[1] - 2 - 2 * self.places.shape[1])

    def best(self, curves: Numbers) -> tuple[NDArray[np.intp], Numbers]:
        """For each of the curves (curves, checkpoints), the best-fitting way and its residual sum of squares."""
        centred = curves - curves.mean(axis=1, keepdims=True)  # every basis contains the constant
        best, least = np.zeros(len(curves), dtype=np.intp), np.full(len(curves), np.inf)
        for way, basis in enumerate(self.bases):
            left = ((centred - (centred @ basis) @ basis.T) ** 2).sum(axis=1)
            better = left < least
            best[better], least[better] = way, left[better]
        return best, least

    def fitted(self, curve: Numbers) -> tuple[int, Numbers, float]:
        """The best-fitting way of one curve, its fit, and the standard deviation of the residuals."""
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
    """Design matrix with a constant, a slope, and a change of slope at each place."""
    return np.column_stack([np.ones_like(x), x - x[0], *(np.maximum(x - x[place], 0) for place in way)])


def _p_of_no_more(designs: Sequence[_Designs], count: int, curve: Numbers, rng: np.random.Generator) -> float:
    """The p-value of a number of changes, against all larger numbers."""
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
    # The size of the fluctuation is estimated from few checkpoints; drawing it, too, gives the slopes Student's t.
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
    """Slopes of the pieces of the best fit with changes at these places."""
    coefficients = np.linalg.lstsq(_columns(x, way), curve, rcond=None)[0]
    return np.cumsum(coefficients[1:])
