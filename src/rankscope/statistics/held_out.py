"""Prediction of held-out models: errors, R squared and Spearman's correlation, with intervals over groups of models.

The errors of an ordinary least-squares fit are linear in the target, so a predictor can be written as a square matrix
that maps targets to errors. The same matrix then serves any number of targets.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from rankscope.statistics.bootstrap import CONFIDENCE, Numbers

Groups = NDArray[np.intp]
Ends = tuple[float | None, float | None]

FEWEST_GROUPS_FOR_AN_INTERVAL = 3
_FEWEST_FOR_RANKS = 3


def error_matrix(design: Numbers, groups: Groups) -> Numbers:
    """The (models, models) matrix that maps targets to errors: target minus prediction of a fit to all other groups.

    Args:
        design: (models, columns), with a column of ones for an intercept.
        groups: (models,) groups, each held out as a whole.
    """
    errors = np.eye(len(design))
    for group in np.unique(groups):
        out = groups == group
        errors[np.ix_(out, ~out)] -= design[out] @ np.linalg.pinv(design[~out])
    return errors


def mean_error_matrix(groups: Groups) -> Numbers:
    """The error matrix of predicting the mean of all other groups, the reference of R squared."""
    return error_matrix(np.ones((len(groups), 1)), groups)


def r_squared(errors: Numbers, from_mean: Numbers) -> Numbers:
    """1 - SSE/SST out of sample, for each column; negative if the mean of the other groups predicts better."""
    return 1 - _squares(errors) / _squares(from_mean)


def r_squared_interval(errors: Numbers, from_mean: Numbers, groups: Groups) -> Ends:
    """Interval of R squared: a jackknife over groups on the scale of log(1 - R squared), with Student's t.

    None for fewer than three groups, and if all errors are 0 or R squared never changes.
    """
    if not errors.any():
        return None, None
    low, high = _jackknife(lambda kept: float(np.log(_squares(errors[kept]) / _squares(from_mean[kept]))), groups)
    return (None, None) if low is None or high is None else (1 - float(np.exp(high)), 1 - float(np.exp(low)))


def spearman(target: Numbers, predicted: Numbers) -> float | None:
    """Spearman's correlation of targets and predictions; None for fewer than three, or if one of them is constant."""
    if len(target) < _FEWEST_FOR_RANKS or np.ptp(target) == 0 or np.ptp(predicted) == 0:
        return None
    return round(float(stats.spearmanr(target, predicted).statistic), 12)  # a perfect correlation is exactly 1


def spearman_interval(target: Numbers, predicted: Numbers, groups: Groups) -> Ends:
    """Interval of Spearman's correlation: a jackknife over groups, with Student's t."""
    low, high = _jackknife(lambda kept: spearman(target[kept], predicted[kept]), groups)
    return (None, None) if low is None or high is None else (max(-1.0, low), min(1.0, high))


def _squares(errors: Numbers) -> Numbers:
    return (errors**2).sum(axis=0)  # type: ignore[no-any-return]


def _jackknife(statistic: Callable[[NDArray[np.bool_]], float | None], groups: Groups) -> Ends:
    """Both ends of a jackknife interval; None for too few groups, or if the statistic is undefined or never changes."""
    names = np.unique(groups)
    count = len(names)
    if count < FEWEST_GROUPS_FOR_AN_INTERVAL:
        return None, None
    whole = statistic(np.ones(len(groups), dtype=bool))
    without = [statistic(groups != name) for name in names]
    known = np.array([one for one in without if one is not None])
    if whole is None or len(known) < count or np.ptp(known) == 0:
        return None, None
    # Deviations are from the value of all groups, not from their mean, which never makes the interval narrower.
    error = np.sqrt((count - 1) / count * ((known - whole) ** 2).sum())
    reach = float(stats.t.ppf((1 + CONFIDENCE) / 2, count - 1) * error)
    return whole - reach, whole + reach
