from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from rankscope.errors import SettingsError
from rankscope.statistics import correlation
from rankscope.statistics.length import adjusted_means, from_length, rankings_at_length


def lengths(rng: np.random.Generator, skill: np.ndarray) -> np.ndarray:
    """Of 30 responses by each responder; good responders write more, and some others do too."""
    verbosity = 0.3 * skill + 0.3 * rng.normal(size=len(skill))
    return np.exp(5 + verbosity + 0.5 * rng.normal(size=(30, 1)) + 0.3 * rng.normal(size=(30, len(skill))))


def scores(rng: np.random.Generator, length: np.ndarray, own: np.ndarray) -> np.ndarray:
    """A metric that bends over length, with a level of its own for each prompt and each responder."""
    noise = 0.5 * rng.normal(size=(30, 1)) + 0.3 * rng.normal(size=length.shape)
    return 0.2 * np.log(length) + 0.05 * np.log(length) ** 2 + own + noise


def test_adjusted_means_are_those_of_a_fit_with_every_prompt_and_responder() -> None:
    rng = np.random.default_rng(0)
    skill = rng.normal(size=4)
    length = lengths(rng, skill)
    metric = scores(rng, length, skill)
    prompts, responders = np.indices(metric.shape)
    centred = (np.log(length) - np.log(length).mean()).ravel()
    columns = [responders.ravel() == one for one in range(4)]
    columns += [prompts.ravel() == one for one in range(1, 30)]
    design = np.column_stack([*columns, centred, centred**2]).astype(float)
    fit = np.linalg.lstsq(design, metric.ravel(), rcond=None)[0]
    found = adjusted_means(metric, length)
    assert found - found.mean() == pytest.approx(fit[:4] - fit[:4].mean())
    assert found.mean() == pytest.approx(metric.mean())


def test_what_is_length_alone_leaves_no_differences() -> None:
    length = np.exp(np.random.default_rng(1).normal(5, 1, size=(10, 3)))
    metric = 3 + np.log(length) - 0.1 * np.log(length) ** 2
    assert (adjusted_means(metric, length) == metric.mean()).all()  # rounding would be ranked
    assert from_length(metric.ravel(), length.ravel()) == pytest.approx(metric.ravel())


def test_scores_need_prompts_and_responders() -> None:
    for metric, length in ((np.ones((1, 3)), np.ones((1, 3))), (np.ones((3, 3)), np.ones((3, 2)))):
        with pytest.raises(SettingsError, match="two prompts and two responders"):
            adjusted_means(metric, length)


def test_rankings_are_partial_correlations_at_holms_levels() -> None:
    rng = np.random.default_rng(2)
    skill = rng.normal(size=12)
    length = lengths(rng, skill)
    metric, noise = scores(rng, length, skill), scores(rng, length, 0 * skill)
    adjusted = {"good": adjusted_means(metric, length), "noise": adjusted_means(noise, length)}
    means = {"good": metric.mean(axis=0), "noise": noise.mean(axis=0)}
    good, other = rankings_at_length(means, adjusted, length.mean(axis=0), skill)
    held = np.log(length.mean(axis=0))
    at_level = correlation(adjusted["good"], skill, "spearman", controls=held, confidence=0.975)
    assert (good.spearman, good.low, good.high) == (at_level.value, at_level.low, at_level.high)
    assert good.plain == pytest.approx(stats.spearmanr(means["good"], skill).statistic)
    assert good.still_ranks
    assert good.p_value is not None
    assert good.p_value < 0.05
    assert not other.still_ranks
    assert good.responders == 12


def test_five_responders_rank_nothing_at_fixed_length() -> None:
    rng = np.random.default_rng(3)
    length = lengths(rng, np.arange(5.0))
    metric = scores(rng, length, np.arange(5.0))
    adjusted = {"metric": adjusted_means(metric, length)}
    (found,) = rankings_at_length({"metric": metric.mean(axis=0)}, adjusted, length.mean(axis=0), np.arange(5.0))
    assert found.plain is not None
    assert (found.spearman, found.low, found.p_value, found.still_ranks) == (None, None, None, False)


def times_found(weight: float, metrics: int) -> int:
    """In how many of 100 leaderboards at least one of the metrics still ranks twelve responders."""
    rng = np.random.default_rng(4)
    times = 0
    for _ in range(100):
        skill = rng.normal(size=12)
        length = lengths(rng, skill)
        drawn = {str(place): scores(rng, length, weight * skill) for place in range(metrics)}
        means = {name: one.mean(axis=0) for name, one in drawn.items()}
        adjusted = {name: adjusted_means(one, length) for name, one in drawn.items()}
        found = rankings_at_length(means, adjusted, length.mean(axis=0), skill + 0.2 * rng.normal(size=12))
        times += any(one.still_ranks for one in found)
    return times


@pytest.mark.slow
@pytest.mark.parametrize("metrics", [1, 4])
def test_a_metric_that_is_length_and_noise_ranks_nobody_and_a_good_one_does(metrics: int) -> None:
    assert times_found(0.0, metrics) <= 7
    assert times_found(1.0, metrics) >= 80
