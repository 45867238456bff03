"""Tidy rows: values over texts, and distances from earlier steps on the same texts."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from rankscope.monitoring.curves import Measurement, tidy_rows

ASKED = ("matrix_entropy", "effective_rank", "loss")


def rows(shift: float, layers: tuple[str, ...] = ("2", "last"), texts: int = 6) -> list[dict]:
    return [
        {
            "text_index": text, "layer": layer, "status": "ok", "matrix_entropy": 1.0 + 0.1 * text + shift + place,
            "effective_rank": float(np.exp(1.0 + 0.1 * text + shift + place)), "loss": 5.0 - shift,
            "pooled": [float(np.cos(3 * text + axis + shift)) for axis in range(4)],
        }
        for text in range(texts)
        for place, layer in enumerate(layers)
    ]  # fmt: skip


def of(step: int, shift: float) -> Measurement:
    return Measurement.of(step, rows(shift), ("2", "last"), None)


def test_values_are_those_of_a_summary() -> None:
    one = of(0, 0.0)
    entropies = 1.0 + 0.1 * np.arange(6)
    assert one.value("2", "effective_rank") == pytest.approx(np.exp(entropies.mean()))
    assert one.value("2", "loss") == pytest.approx(5.0)
    assert one.value("last", "matrix_entropy_change") == pytest.approx(1.0)
    assert (
        one.value("2", "matrix_entropy_change") is None if ("2", "matrix_entropy_change") not in one.columns else True
    )


def test_distances_are_from_the_first_and_the_last_measurement() -> None:
    before = [of(0, 0.0), of(10, 0.3)]
    found = tidy_rows(of(20, 0.5), before, ASKED)
    row = found.row(by_predicate=(found_is("2", "matrix_entropy")), named=True)
    assert (row["step"], row["texts"]) == (20, 6)
    assert row["from_first"] == pytest.approx(0.5)
    assert row["from_last"] == pytest.approx(0.2)
    # every text moved alike, so the distance is certain, and the value is not
    assert row["from_first_low"] == pytest.approx(row["from_first_high"])
    assert row["value_low"] < row["value"] < row["value_high"]
    rank = found.row(by_predicate=found_is("last", "effective_rank"), named=True)
    assert rank["from_first"] == pytest.approx(np.exp(2.75) * (np.exp(0.0) - np.exp(-0.5)), rel=1e-6)
    assert rank["from_first_low"] < rank["from_first"] < rank["from_first_high"]


def found_is(layer: str, metric: str):

    return (pl.col("layer") == layer) & (pl.col("metric") == metric)


def test_metrics_of_the_whole_probe_have_values_and_distances_without_intervals() -> None:
    found = tidy_rows(of(5, 0.4), [of(0, 0.0)], ASKED)
    row = found.row(by_predicate=found_is("2", "rankme"), named=True)
    assert 1 <= row["value"] <= 4.1
    assert row["from_first"] is not None
    assert row["value_low"] is None
    assert row["from_first_low"] is None


def test_a_number_of_the_probe_that_an_earlier_step_lacks_has_no_distance() -> None:
    alike = [row | {"pooled": [1.0, 1.0, 1.0, 1.0]} for row in rows(0.0)]
    before = Measurement.of(0, alike, ("2", "last"), None)
    assert before.value("2", "pooled_effective_rank") is None
    found = tidy_rows(of(5, 0.4), [before], ASKED)
    row = found.row(by_predicate=found_is("2", "pooled_effective_rank"), named=True)
    assert row["value"] is not None
    assert row["from_first"] is None


def test_a_probe_that_cannot_be_measured_has_a_fault_and_no_rows() -> None:
    skipped = [{"text_index": 0, "layer": "last", "status": "skipped", "reason": "equal rows"}]
    one = Measurement.of(3, skipped, ("last",), None)
    assert one.fault == "no text of the probe has a spectrum (equal rows)"
    assert tidy_rows(one, [of(0, 0.0)], ASKED).is_empty()
    assert tidy_rows(None, [], None).is_empty()


def test_texts_that_were_not_measured_at_every_layer_do_not_count() -> None:
    given = rows(0.0)
    given[1] = {"text_index": 0, "layer": "last", "status": "skipped", "reason": "equal rows"}
    one = Measurement.of(0, given, ("2", "last"), None)
    assert one.texts == (1, 2, 3, 4, 5)
