"""Paired differences on the same texts, between two models or two settings of one model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from scipy import stats

from rankscope.errors import SettingsError
from rankscope.statistics.aggregation import complete_texts
from rankscope.statistics.bootstrap import CONFIDENCE, Numbers, bootstrap_interval

_PERMUTATIONS = 9999


@dataclass(frozen=True)
class PairedDifference:
    """A difference of means (a - b) over the same texts.

    Attributes:
        difference: Mean of a minus mean of b.
        low: Lower end of its bootstrap interval.
        high: Upper end of its bootstrap interval.
        p_value: p-value of a two-sided sign-flip test; the smallest possible value is 2 / 10,000.
        texts: Number of texts.
    """

    difference: float
    low: float
    high: float
    p_value: float
    texts: int


def paired_difference(a: Numbers, b: Numbers, *, confidence: float = CONFIDENCE, seed: int = 0) -> PairedDifference:
    """Interval and p-value of mean(a) - mean(b), text by text.

    The test flips the sign of each text's difference at random: under the hypothesis that the two
    models are exchangeable on every text, all flips are equally likely (Fisher's randomisation test).

    Raises:
        SettingsError: the shapes differ, there are fewer than two texts, or values are not finite.
    """
    one, other = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if one.shape != other.shape or one.ndim != 1 or len(one) < 2:
        raise SettingsError(
            f"a paired difference needs the same texts on both sides, at least 2; got {one.shape} and {other.shape}"
        )
    differences = one - other
    if not np.isfinite(differences).all():
        raise SettingsError("a paired difference needs finite values: omit texts without a number")
    if not differences.any():
        return PairedDifference(0.0, 0.0, 0.0, 1.0, len(differences))
    low, high = bootstrap_interval(differences, confidence=confidence, seed=seed)
    test = stats.permutation_test(
        (differences,),
        lambda sample, axis: np.mean(sample, axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=_PERMUTATIONS,
        batch=max(1, (1 << 24) // len(differences)),
        rng=np.random.default_rng(seed),
    )
    return PairedDifference(float(differences.mean()), low, high, float(test.pvalue), len(differences))


def common_texts(base: pl.DataFrame, other: pl.DataFrame) -> pl.DataFrame:
    """The trained model's texts that are complete in both tables; columns of `other` end in `/other`."""
    (one, _), (two, _) = complete_texts(base), complete_texts(other)
    return one.join(two, on="text_id", suffix="/other")


def paired_on(common: pl.DataFrame, metric: str) -> PairedDifference | None:
    """A metric in `other` minus that in `base`; None for fewer than two texts, or if a value is missing.

    Args:
        common: The table returned by `common_texts`.
        metric: Name of the metric.
    """
    one, two = complete_column(common, metric), complete_column(common, f"{metric}/other")
    return None if one is None or two is None or len(one) < 2 else paired_difference(two, one)


def complete_column(table: pl.DataFrame, name: str) -> Numbers | None:
    """The values of a column; None if one is missing."""
    return None if table[name].null_count() else table[name].to_numpy().astype(np.float64)
