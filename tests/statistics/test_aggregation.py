from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest
import torch

from rankscope.metrics import aggregate_effective_rank, diff_erank, erank_ratio, metric_names, noise_value
from rankscope.statistics import summarize, with_initializers


def measurement(role: str, seed: int | None, index: int, **values: object) -> dict:
    row = {
        "model": "m", "dataset": "d", "layer": "last", "role": role, "seed": seed, "text_index": index,
        "n_tokens": 10 + index, "hidden_size": 4, "status": "ok",
        **dict.fromkeys(metric_names()),
    }  # fmt: skip
    return row | values


def frame(rows: list[dict]) -> pl.DataFrame:
    return pl.DataFrame(
        rows, infer_schema_length=None, schema_overrides={"matrix_entropy": pl.Float64, "loss": pl.Float64}
    )


def test_by_hand() -> None:
    rows = [
        measurement("trained", None, 0, matrix_entropy=math.log(4), loss=2.0, matrix_nuclear_norm=0.5),
        measurement("trained", None, 1, matrix_entropy=math.log(16), loss=3.0, matrix_nuclear_norm=0.7),
        measurement("untrained", 0, 0, matrix_entropy=math.log(8), loss=9.0),
        measurement("untrained", 0, 1, matrix_entropy=math.log(32), loss=11.0),
        measurement("untrained", 1, 1, matrix_entropy=math.log(64), loss=12.0),
        measurement("untrained", 1, 0, matrix_entropy=math.log(16), loss=10.0),
    ]
    (row,) = summarize(frame(rows))
    assert (row["model"], row["dataset"], row["layer"], row["texts"], row["skipped"]) == ("m", "d", "last", 2, 0)
    assert (row["tokens"], row["hidden_size"], row["untrained_seeds"]) == (21, 4, 2)
    assert row["effective_rank"] == pytest.approx(8)
    assert row["effective_rank_b"] == pytest.approx(10)
    assert row["effective_rank_untrained"] == pytest.approx((16 + 32) / 2)
    assert row["diff_erank"] == pytest.approx(24 - 8)
    assert row["diff_erank_b"] == pytest.approx((20 + 40) / 2 - 10)
    assert row["erank_ratio"] == pytest.approx(8 / 24)
    assert (row["loss"], row["untrained_loss"], row["reduced_loss"]) == pytest.approx((2.5, 10.5, 8.0))
    assert row["perplexity"] == pytest.approx(math.exp(2.5))
    assert row["matrix_nuclear_norm"] == pytest.approx(0.6)
    assert row["stable_rank"] is None
    assert row["effective_rank_untrained_sd"] == pytest.approx(np.std([16, 32], ddof=1))
    assert 0 < row["diff_erank_seed_share"] < 1
    for key in (
        "effective_rank",
        "diff_erank",
        "diff_erank_b",
        "erank_ratio",
        "loss",
        "perplexity",
        "reduced_loss",
        "matrix_nuclear_norm",
    ):
        assert row[f"{key}_low"] <= row[key] <= row[f"{key}_high"]
    # Two texts: a bootstrap sample has one of three means of the loss.
    assert (row["loss_low"], row["loss_high"]) == (2, 3)


def test_a_text_that_one_role_lacks_counts_for_none() -> None:
    rows = [
        measurement("trained", None, 0, matrix_entropy=1.0),
        measurement("trained", None, 1, matrix_entropy=5.0),
        measurement("untrained", 0, 0, matrix_entropy=2.0),
        measurement("untrained", 0, 1, status="skipped", hidden_size=None),
    ]
    (row,) = summarize(frame(rows))
    assert (row["texts"], row["skipped"], row["tokens"]) == (1, 1, 10)
    assert row["effective_rank"] == pytest.approx(math.e)
    assert row["diff_erank"] == pytest.approx(math.e**2 - math.e)
    assert row["reduced_loss"] is None


def test_without_a_twin_nothing_is_said_of_one() -> None:
    (row,) = summarize(frame([measurement("trained", None, 0, matrix_entropy=1.0)]))
    assert "diff_erank" not in row
    assert "untrained_seeds" not in row


def test_cut_texts_are_counted_once_and_older_measurements_say_nothing_of_them() -> None:
    rows = [measurement(role, seed, text) for role, seed in (("trained", None), ("untrained", 0)) for text in range(3)]
    (row,) = summarize(frame([row | {"cut": row["text_index"] != 1} for row in rows]))
    assert row["cut"] == 2
    (row,) = summarize(frame(rows))
    assert row["cut"] is None


def test_only_skipped_texts_give_no_number() -> None:
    (row,) = summarize(frame([measurement("trained", None, 0, status="skipped", hidden_size=None)]))
    assert (row["texts"], row["skipped"], row["tokens"]) == (0, 1, 0)
    assert row["effective_rank"] is None
    assert row["hidden_size"] is None


def test_the_aggregates_are_those_of_the_metrics_functions() -> None:
    """The formulas on means, which the bootstrap needs, agree with the ones on texts."""
    rng = np.random.default_rng(0)
    trained, untrained = rng.normal(3, 0.5, 40), rng.normal(4, 0.5, (2, 40))
    rows = [measurement("trained", None, n, matrix_entropy=h) for n, h in enumerate(trained)]
    rows += [measurement("untrained", s, n, matrix_entropy=h) for s in (0, 1) for n, h in enumerate(untrained[s])]
    (row,) = summarize(frame(rows))
    one, two = torch.tensor(trained), torch.tensor(untrained)
    for algorithm, suffix in (("a", ""), ("b", "_b")):
        assert row[f"effective_rank{suffix}"] == pytest.approx(float(aggregate_effective_rank(one, algorithm)))
        assert row[f"diff_erank{suffix}"] == pytest.approx(float(diff_erank(two, one, algorithm).mean()))
    single = summarize(frame([row for row in rows if row["seed"] != 1]))[0]
    assert single["erank_ratio"] == pytest.approx(float(erank_ratio(two[0], one)))


def test_ratios_to_noise_are_means_over_texts_of_their_own_length() -> None:
    lengths, ranks = [20, 80], [5.0, 7.0]
    rows = [
        measurement(
            "trained", None, n, n_tokens=lengths[n], hidden_size=64, matrix_entropy=1.0, effective_rank=ranks[n]
        )
        for n in (0, 1)
    ]
    (row,) = summarize(frame(rows))
    nulls = [noise_value("effective_rank", length, 64) for length in lengths]
    assert row["effective_rank_over_noise"] == pytest.approx((5 / nulls[0] + 7 / nulls[1]) / 2)
    # Two texts: a bootstrap sample has one of three means.
    ends = sorted((5 / nulls[0], 7 / nulls[1]))
    assert [row["effective_rank_over_noise_low"], row["effective_rank_over_noise_high"]] == pytest.approx(ends)
    assert "matrix_nuclear_norm_over_noise" not in row


def test_the_ratio_is_paired_over_texts() -> None:
    """Texts differ widely, their ratios not at all: the ranks' intervals are wide, the ratio's has no width."""
    entropies = np.random.default_rng(0).uniform(1, 4, size=20)
    rows = [measurement("trained", None, place, matrix_entropy=h) for place, h in enumerate(entropies)]
    rows += [measurement("untrained", 0, place, matrix_entropy=h + np.log(2)) for place, h in enumerate(entropies)]
    (row,) = summarize(frame(rows))
    assert row["effective_rank_high"] - row["effective_rank_low"] > 1
    assert (row["erank_ratio_low"], row["erank_ratio"], row["erank_ratio_high"]) == pytest.approx((0.5, 0.5, 0.5))


def test_the_twins_share_of_noise_is_the_mean_over_seeds_and_texts() -> None:
    rows = [measurement("trained", None, n, n_tokens=20, hidden_size=64, effective_rank=5.0) for n in (0, 1)]
    rows += [
        measurement("untrained", seed, n, n_tokens=20, hidden_size=64, effective_rank=6.0 + seed + 2 * n)
        for seed in (0, 1)
        for n in (0, 1)
    ]
    (row,) = summarize(frame(rows))
    null = noise_value("effective_rank", 20, 64)
    assert row["effective_rank_untrained_over_noise"] == pytest.approx((6 + 7 + 8 + 9) / 4 / null)
    assert row["effective_rank_untrained_over_noise_low"] == pytest.approx(6.5 / null)


def test_a_perplexity_beyond_the_largest_float_is_empty() -> None:
    rows = [measurement("trained", None, index, loss=700.0 + 20 * index) for index in range(4)]
    (row,) = summarize(frame(rows))
    assert row["loss"] == pytest.approx(730)
    assert row["perplexity"] is None
    assert row["perplexity_high"] is None


def test_a_model_without_twins_has_none_for_what_they_would_tell() -> None:
    rows = [{"model": "a", "untrained_seeds": 2, "diff_erank": 1.5}, {"model": "b"}, {"model": "c"}]
    known, unknown = ({"initializer_range": value, "initializer_source": source} for value, source in
                      ((0.02, "configuration"), (None, "unknown")))  # fmt: skip
    one, other, third = with_initializers(rows, {"a": known, "b": unknown})
    assert one == rows[0] | known
    twins_rank = ("effective_rank_untrained", "diff_erank", "diff_erank_b", "erank_ratio")
    of_twins = (*twins_rank, "untrained_loss", "reduced_loss")
    assert other == {"model": "b", "untrained_seeds": 0, **dict.fromkeys(of_twins), **unknown}
    assert third == {"model": "c"}
