from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from rankscope.statistics.bootstrap import bootstrap_interval, resampled_means

pytestmark = pytest.mark.slow


def test_ninety_five_per_cent_intervals_cover_the_truth() -> None:
    """1,000 repetitions on texts with a known mean, skewed as entropies are not: the harder case."""
    rng = np.random.default_rng(0)
    covered = 0
    for repetition in range(1000):
        texts = rng.gamma(4.0, 0.5, size=80)  # mean 2
        low, high = bootstrap_interval(texts, resamples=600, seed=repetition)
        covered += low <= 2.0 <= high
    assert 930 <= covered <= 970


def test_intervals_of_a_paired_function_of_means_cover_too() -> None:
    """Diff-eRank by algorithm (a): exp of one mean minus exp of another, on the same texts."""
    rng = np.random.default_rng(1)
    covered = 0
    for repetition in range(1000):
        shared = rng.normal(0, 0.5, size=80)
        columns = np.column_stack([4 + shared + rng.normal(0, 0.1, 80), 3 + shared + rng.normal(0, 0.2, 80)])
        low, high = bootstrap_interval(
            columns, lambda means: np.exp(means[..., 0]) - np.exp(means[..., 1]), resamples=600, seed=repetition
        )
        covered += low <= np.exp(4) - np.exp(3) <= high
    assert 930 <= covered <= 970


def test_agrees_with_scipys_bootstrap() -> None:
    texts = np.random.default_rng(2).gamma(3.0, 1.0, size=60)
    ours = bootstrap_interval(texts, resamples=20_000)
    theirs = stats.bootstrap((texts,), np.mean, n_resamples=20_000, method="percentile", rng=3).confidence_interval
    assert ours == pytest.approx((theirs.low, theirs.high), abs=0.02)


def test_the_same_seed_gives_the_same_interval() -> None:
    texts = np.random.default_rng(3).normal(size=30)
    assert bootstrap_interval(texts) == bootstrap_interval(texts)
    assert bootstrap_interval(texts) != bootstrap_interval(texts, seed=1)


def test_columns_are_resampled_together_and_in_pieces() -> None:
    table = np.random.default_rng(4).normal(size=(20, 1)) @ np.array([[1.0, 2.0]])
    means = resampled_means(table, resamples=50, rng=np.random.default_rng(0), at_once=100)
    np.testing.assert_allclose(means[:, 1], 2 * means[:, 0])
    np.testing.assert_allclose(means, resampled_means(table, resamples=50, rng=np.random.default_rng(0)))


def test_many_texts_are_drawn_with_replacement_as_few_are() -> None:
    """The mean of resampled means is the mean, and their variance that of a text over the number of texts."""
    table = np.random.default_rng(6).gamma(2.0, size=(20_001, 2))
    means = resampled_means(table, resamples=2000, rng=np.random.default_rng(0))
    ones = resampled_means(np.ones((20_001, 1)), resamples=5, rng=np.random.default_rng(0))
    np.testing.assert_allclose(ones, 1)  # as many draws as texts
    spread = table.std(axis=0) / 20_001**0.5
    np.testing.assert_allclose(means.mean(axis=0), table.mean(axis=0), atol=4 * spread.max() / 2000**0.5)
    np.testing.assert_allclose(means.std(axis=0), spread, rtol=0.08)  # 5 standard errors


def test_a_wider_confidence_gives_a_wider_interval() -> None:
    texts = np.random.default_rng(5).normal(size=30)
    narrow, wide = (bootstrap_interval(texts, confidence=confidence) for confidence in (0.5, 0.99))
    assert wide[0] < narrow[0] < narrow[1] < wide[1]
