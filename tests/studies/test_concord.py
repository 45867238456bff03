from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from rankscope.statistics import correlation
from rankscope.studies.concord import ALL, END, TRAINED, across, correlations_with_loss, initialisation

NAMES = ("a", "b", "c", "d", "e")
UNTRAINED = {"a": 30.0, "b": 40.0, "c": 41.0, "d": 36.0, "e": 25.0}


def rows_of(ranks: dict[int, dict[str, float]], losses: dict[int, dict[str, float]]) -> pl.DataFrame:
    """A row for each architecture and step; entropy goes as eRank does, MNN against it."""
    return pl.DataFrame(
        [
            {
                "architecture": name,
                "step": step,
                "loss": losses[step][name],
                "effective_rank": rank,
                "normalized_matrix_entropy": np.log(rank),
                "matrix_nuclear_norm": -rank,
                "diff_erank": None if step == 0 else UNTRAINED[name] - rank,
            }
            for name in NAMES
            for step, rank in ((step, of_step[name]) for step, of_step in ranks.items())
        ]
    )


@pytest.fixture
def rows() -> pl.DataFrame:
    """Inside each training eRank rises as the loss falls; between them, at equal steps, it is greater with it."""
    shift = dict(zip(NAMES, (0.0, 0.1, 0.2, 0.3, 0.4), strict=True))
    losses = {0: dict.fromkeys(NAMES, 7.6)} | {
        step: {name: loss + shift[name] for name in NAMES} for step, loss in ((8, 6.0), (64, 5.0), (512, 4.0))
    }
    ranks = {0: UNTRAINED} | {
        step: {name: rank + 10 * shift[name] for name in NAMES} for step, rank in ((8, 5.0), (64, 15.0), (512, 25.0))
    }
    return rows_of(ranks, losses)


def value(found: pl.DataFrame, where: str, metric: str = "effective_rank", method: str = "pearson") -> float:
    return found.filter(where=where, metric=metric, method=method)["value"].item()


def test_the_direction_inside_and_between_are_told_apart(rows: pl.DataFrame) -> None:
    found = correlations_with_loss(rows, "loss")
    assert value(found, TRAINED) < -0.9
    assert value(found, "step 512") == value(found, "step 8") == pytest.approx(1)
    assert value(found, "step 512", "matrix_nuclear_norm") == pytest.approx(-1)


def test_each_number_is_the_correlation_of_its_points(rows: pl.DataFrame) -> None:
    found = correlations_with_loss(rows, "loss")
    one = rows.filter(architecture="b")
    expected = correlation(one["effective_rank"].to_numpy(), one["loss"].to_numpy(), "pearson")
    assert value(found, "b") == expected.value
    later = one.filter(pl.col("step") > 0)
    expected = correlation(later["effective_rank"].to_numpy(), later["loss"].to_numpy(), "pearson")
    assert value(found, "b, trained") == expected.value
    at_end = rows.filter(step=512)
    expected = correlation(at_end["diff_erank"].to_numpy(), at_end["loss"].to_numpy(), "spearman")
    row = found.filter(where="step 512", metric="diff_erank", method="spearman").row(0, named=True)
    assert (row["value"], row["low"], row["high"], row["points"]) == (expected.value, expected.low, expected.high, 5)
    assert found.filter(where=ALL)["points"].unique().item() == 20
    assert found.filter(where=TRAINED)["points"].unique().item() == 15
    assert found.filter(where=ALL, metric="diff_erank").is_empty()


def test_only_steps_of_all_are_compared_and_the_end_where_it_differs(rows: pl.DataFrame) -> None:
    assert [where for where, _ in across(rows)] == ["step 8", "step 64", "step 512"]
    shorter = rows.filter(~((pl.col("architecture") == "c") & (pl.col("step") == 512)))
    places = dict(across(shorter))
    assert list(places) == ["step 8", "step 64", END]
    assert places[END]["step"].to_list() == [512, 512, 64, 512, 512]
    unknown = rows.with_columns(step=pl.when(pl.col("step") == 0).then(0))
    assert list(dict(across(unknown.group_by("architecture", maintain_order=True).last()))) == [END]


def test_initialisation_explains_what_follows_a_line_in_it(rows: pl.DataFrame) -> None:
    twins = pl.DataFrame(
        [
            {"architecture": name, "seed": seed, "effective_rank": UNTRAINED[name] + shift,
             "normalized_matrix_entropy": 0.5 + shift, "matrix_nuclear_norm": 0.5}
            for name in NAMES
            for seed, shift in enumerate((-1.0, 0.0, 1.0))
        ]
    )  # fmt: skip
    follows = rows.with_columns(
        effective_rank=pl.when(pl.col("step") == 512)
        .then(pl.col("architecture").replace_strict(UNTRAINED, return_dtype=pl.Float64) / 2 + 3)
        .otherwise("effective_rank")
    )
    found = initialisation(follows, twins)
    end = found.filter(where="step 512", metric="effective_rank").row(0, named=True)
    assert end["explained"] == end["pearson"] == pytest.approx(1)
    assert end["untrained_deviation"] == pytest.approx(np.std(list(UNTRAINED.values()), ddof=1))
    assert end["trained_deviation"] == pytest.approx(end["untrained_deviation"] / 2)
    assert end["seed_deviation"] == pytest.approx(1)
    early = found.filter(where="step 8", metric="effective_rank").row(0, named=True)
    untrained, trained = list(UNTRAINED.values()), rows.filter(step=8)["effective_rank"].to_numpy()
    assert early["explained"] == pytest.approx(np.corrcoef(untrained, trained)[0, 1] ** 2)
    assert early["explained_low"] == 0
    of_difference = found.filter(where="step 8", metric="diff_erank").row(0, named=True)
    assert of_difference["explained"] == pytest.approx(np.corrcoef(untrained, np.array(untrained) - trained)[0, 1] ** 2)
    assert found.filter(metric="matrix_nuclear_norm")["explained"].null_count() == 3  # all the same untrained
