from __future__ import annotations

import math

import polars as pl
import pytest

from rankscope.statistics import summarize


def measurement(role: str, seed: int | None, index: int, **values: object) -> dict:
    row = {
        "model": "m", "dataset": "d", "layer": "last", "role": role, "seed": seed, "text_index": index,
        "n_tokens": 10 + index, "hidden_size": 4, "status": "ok",
        "matrix_entropy": None, "effective_rank": None, "normalized_matrix_entropy": None, "nuclear_norm": None,
        "stable_rank": None, "participation_ratio": None, "matrix_nuclear_norm": None, "loss": None,
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
    assert (row["loss"], row["untrained_loss"], row["reduced_loss"]) == pytest.approx((2.5, 10.5, 8.0))
    assert row["perplexity"] == pytest.approx(math.exp(2.5))
    assert row["matrix_nuclear_norm"] == pytest.approx(0.6)
    assert row["stable_rank"] is None


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


def test_only_skipped_texts_give_no_number() -> None:
    (row,) = summarize(frame([measurement("trained", None, 0, status="skipped", hidden_size=None)]))
    assert (row["texts"], row["skipped"], row["tokens"]) == (0, 1, 0)
    assert row["effective_rank"] is None
    assert row["hidden_size"] is None
