from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest

from rankscope.statistics import paired_difference, summarize_alignment

RNG = np.random.default_rng(0)


def measurements(entropies: dict[str, np.ndarray]) -> pl.DataFrame:
    """Rows of pairs from matrix entropies (pairs, 5) by control."""
    rows = []
    for control, table in entropies.items():
        for index, values in enumerate(table):
            ranks = np.exp(values)
            row = {"model": "m", "dataset": "d", "text_index": index, "text_id": str(index), "control": control}
            row |= {f"matrix_entropy{place}": value for place, value in enumerate(values, start=1)}
            row |= {f"n_tokens{place}": 7 for place in range(1, 6)}
            row |= {
                "status": "ok",
                "image_reduction_ratio": (ranks[0] - ranks[1]) / ranks[0],
                "image_text_alignment": ranks[2:].mean() / ranks[2:].max(),
                "loss": float(values[0]),
            }
            rows.append(row)
    return pl.DataFrame(rows).sort("text_index", maintain_order=True)


def test_ratios_are_those_of_the_data_set_s_ranks_and_of_the_items() -> None:
    table = np.log([[4.0, 2.0, 3.0, 6.0, 6.0], [9.0, 8.0, 12.0, 6.0, 6.0]])
    (row,) = summarize_alignment(measurements({"base": table}))
    assert [row[f"erank{place}"] for place in (1, 2, 3)] == pytest.approx([6, 4, 6])  # geometric means
    assert [row[f"erank{place}_b"] for place in (1, 2, 3)] == pytest.approx([6.5, 5, 7.5])
    assert row["image_reduction_ratio"] == pytest.approx(2 / 6)
    assert row["image_reduction_ratio_b"] == pytest.approx(1.5 / 6.5)
    assert row["image_reduction_ratio_of_items"] == pytest.approx((1 / 2 + 1 / 9) / 2)
    assert row["image_text_alignment"] == pytest.approx(1)
    assert row["image_text_alignment_of_items"] == pytest.approx((5 / 6 + 8 / 12) / 2)
    assert (row["texts"], row["tokens"], row["image_tokens"]) == (2, 14, 14)


def test_intervals_hold_the_values() -> None:
    (row,) = summarize_alignment(measurements({"base": RNG.uniform(1, 3, (40, 5))}))
    for key in ("erank1", "erank5_b", "image_reduction_ratio", "image_text_alignment_of_items", "loss"):
        assert row[f"{key}_low"] < row[key] < row[f"{key}_high"]


def test_changes_are_paired() -> None:
    base = RNG.uniform(1, 3, (60, 5))
    shift = 0.1 + RNG.normal(0, 0.01, 60)
    control = base + np.column_stack([shift, *[np.zeros(60)] * 4])
    one, other = summarize_alignment(measurements({"base": base, "blank": control}))
    assert "erank1_change" not in one
    assert other["erank1_change"] == pytest.approx(other["erank1"] - one["erank1"])
    assert other["erank1_change_high"] - other["erank1_change_low"] < 0.3 * (one["erank1_high"] - one["erank1_low"])
    assert other["erank1_change_p"] == paired_difference(control[:, 0], base[:, 0]).p_value == pytest.approx(2e-4)
    assert (other["erank2_change"], other["erank2_change_p"]) == (0, 1)
    assert other["image_reduction_ratio_change_low"] > 0


def test_only_pairs_that_every_control_could_be_measured_on_count() -> None:
    frame = measurements({"base": RNG.uniform(1, 2, (3, 5)), "blank": RNG.uniform(1, 2, (3, 5))})
    missing = (pl.col("text_index") == 1) & (pl.col("control") == "blank")
    frame = frame.with_columns(status=pl.when(missing).then(pl.lit("skipped")).otherwise("status"))
    rows = summarize_alignment(frame)
    assert [(row["texts"], row["skipped"]) for row in rows] == [(2, 1), (2, 1)]
    kept = frame.filter((pl.col("control") == "base") & (pl.col("text_index") != 1))["matrix_entropy4"]
    assert rows[0]["erank4"] == pytest.approx(math.exp(kept.mean()))


def test_without_usable_pairs_there_are_no_numbers() -> None:
    frame = measurements({"base": RNG.uniform(1, 2, (2, 5))}).with_columns(status=pl.lit("skipped"))
    (row,) = summarize_alignment(frame)
    assert (row["texts"], row["skipped"], row["erank1"], row["image_text_alignment_b"]) == (0, 2, None, None)
