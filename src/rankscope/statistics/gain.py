"""The gain of adding a metric to a baseline for predicting held-out models, with an interval of correct level.

With few models from even fewer families, intervals from resampling the gain itself are too narrow or uninformative. The
metric's coefficient *within* families can be tested: with an intercept for each family, it has Student's t
distribution, however the families differ. The interval of the gain covers the gains at all coefficients in that
interval.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from rankscope.statistics.bootstrap import Numbers
from rankscope.statistics.held_out import Groups, error_matrix, mean_error_matrix

HIGHEST_DEGREE = 3
_ROOM = 4  # degrees of freedom that a curve must leave for the coefficient's interval
_STEPS = 201
_NOTHING = 1e-9  # smaller residuals are rounding errors: families and baseline explain the metric or target completely


def curves(baseline: Numbers, families: Groups) -> list[Numbers]:
    """Designs of a line, a parabola and a cubic in the baseline; higher degrees only with enough models.

    Curves are needed so that a metric gets no credit for a nonlinear effect of the baseline.
    """
    intercepts = np.linalg.matrix_rank(intercepts_of(families))
    most = min(HIGHEST_DEGREE, len(baseline) - intercepts - 1 - _ROOM)
    scaled = standardised(baseline)
    return [np.column_stack([scaled**power for power in range(degree + 1)]) for degree in range(1, max(1, most) + 1)]


def intercepts_of(families: Groups) -> Numbers:
    """A column of 0 and 1 for each family; a single column of ones if no family has two models."""
    names, members = np.unique(families, return_counts=True)
    if members.max() == 1:
        return np.ones((len(families), 1))
    columns: Numbers = (families[:, None] == names).astype(np.float64)
    return columns


def standardised(column: Numbers) -> Numbers:
    """Scales a column to mean 0 and standard deviation 1, so that its powers keep their precision."""
    return (column - column.mean()) / column.std()  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Gain:
    """The gain of adding a metric to the best curve in a baseline.

    Attributes:
        without: Error matrix of the baseline.
        with_metric: Error matrix of the baseline and the metric.
        from_mean: Error matrix of the mean.
        target: (models,) the target, standardised, which leaves R squared unchanged.
        left: (models,) residuals of the standardised metric given families and baseline. None if these explain the
            metric or the target completely, or there are too few models for the coefficient's standard error.
        coefficient: Coefficient of `left` in the residuals of the target.
        error: Standard error of the coefficient.
        freedom: Degrees of freedom of the coefficient.
    """

    without: Numbers
    with_metric: Numbers
    from_mean: Numbers
    target: Numbers
    left: Numbers | None = None
    coefficient: float = 0.0
    error: float = 0.0
    freedom: int = 0

    def at(self, coefficients: Numbers) -> Numbers:
        """The gain in R squared that these models would show if the metric had these coefficients."""
        targets = np.repeat(self.target[:, None], len(coefficients), axis=1)
        if self.left is not None:
            targets = targets + np.outer(self.left, coefficients - self.coefficient)
        sums = [((matrix @ targets) ** 2).sum(axis=0) for matrix in (self.without, self.with_metric, self.from_mean)]
        return (sums[0] - sums[1]) / sums[2]  # type: ignore[no-any-return]

    @property
    def value(self) -> float:
        """R squared with the metric minus R squared without."""
        return float(self.at(np.array([self.coefficient]))[0])

    def interval(self, level: float) -> tuple[float, float] | None:
        """Interval of the gain; None if the coefficient's standard error is unknown.

        A coefficient of 0 counts as no gain, even if differences between families would give one.
        """
        if self.left is None:
            return None
        reach = float(stats.t.ppf(1 - level / 2, self.freedom)) * self.error
        gains = self.at(np.linspace(self.coefficient - reach, self.coefficient + reach, _STEPS))
        none = 0.0 if abs(self.coefficient) <= reach else np.inf
        return float(min(gains.min(), none)), float(gains.max())

    @property
    def p_value(self) -> float | None:
        """The largest level at which the interval contains 0 or is below 0; None if there is no interval."""
        if self.left is None:
            return None
        offsets = np.linspace(0, 1, _STEPS) * abs(self.coefficient)
        gains = np.minimum(self.at(self.coefficient + offsets), self.at(self.coefficient - offsets))
        gains[-1] = 0  # at this offset, the coefficient is 0
        nearest = float(offsets[np.argmax(gains <= 0)])
        return float(2 * stats.t.sf(nearest / self.error, self.freedom))


def gain_of(metric: Numbers, target: Numbers, baseline: Numbers, families: Groups, groups: Groups) -> Gain:
    """The gain of a metric over the curve in the baseline that predicts the target best.

    Args:
        metric: (models,).
        target: (models,).
        baseline: (models,).
        families: (models,) families, which have their own intercepts in the coefficient's interval.
        groups: (models,) groups, each held out as a whole.
    """
    designs = curves(baseline, families)
    target, metric = standardised(target), standardised(metric)
    design = best_curve(target, designs, groups)
    without, from_mean = error_matrix(design, groups), mean_error_matrix(groups)
    with_metric = error_matrix(np.column_stack([design, metric]), groups)
    explained = np.column_stack([intercepts_of(families), designs[-1][:, 1:]])
    freedom = int(len(target) - np.linalg.matrix_rank(explained) - 1)
    left, of_target = (one - explained @ (np.linalg.pinv(explained) @ one) for one in (metric, target))
    if freedom < 1 or min(np.abs(left).max(), np.abs(of_target).max()) < _NOTHING:
        return Gain(without, with_metric, from_mean, target)
    squares = float(left @ left)
    coefficient = float(left @ of_target) / squares
    error = float(np.sqrt(((of_target - coefficient * left) ** 2).sum() / freedom / squares))
    return Gain(without, with_metric, from_mean, target, left, coefficient, max(error, _NOTHING), freedom)


def best_curve(target: Numbers, designs: list[Numbers], groups: Groups) -> Numbers:
    """The design that predicts the target best out of sample."""
    return min(designs, key=lambda design: float(((error_matrix(design, groups) @ target) ** 2).sum()))
