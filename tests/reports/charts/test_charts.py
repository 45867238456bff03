"""What charts draw, against hand calculations from the frames that they were given."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest

import rankscope as rs
from rankscope.metrics import noise_spectrum
from rankscope.reports import PALETTE, charts
from rankscope.reports.charts.figure import colour_of_models

pytestmark = pytest.mark.slow


def datasets(part: object) -> list[list[dict]]:
    """All data in a specification."""
    if isinstance(part, dict):
        own = [part["data"]["values"]] if "data" in part else []
        return own + [rows for key, inside in part.items() if key != "data" for rows in datasets(inside)]
    return [rows for inside in part for rows in datasets(inside)] if isinstance(part, list) else []


def drawn(figure: charts.Figure, *fields: str) -> list[dict]:
    """The one set of data that has these fields."""
    found = [rows for rows in datasets(figure.chart.to_dict()) if set(fields) <= set(rows[0])]
    assert len(found) == 1
    return found[0]


@pytest.fixture(scope="module")
def summary(runs: dict[str, rs.Run]) -> pl.DataFrame:
    return runs["sizes"].summary()


@pytest.fixture(scope="module")
def last(summary: pl.DataFrame) -> pl.DataFrame:
    return summary.filter(pl.col("layer") == "last")


def test_ranks_by_layer_are_the_summarys(summary: pl.DataFrame) -> None:
    figure = charts.rank_by_layer(summary)
    points = {(row["model"], row["layer"], row["role"]): row for row in drawn(figure, "rank", "role")}
    assert len(points) == 2 * summary.height
    for row in summary.rows(named=True):
        trained, untrained = (points[row["model"], row["layer"], role] for role in ("trained", "untrained"))
        assert trained["rank"] == pytest.approx(row["effective_rank"], rel=1e-4)
        assert trained["high"] == pytest.approx(row["effective_rank_high"], rel=1e-4)
        assert untrained["low"] == pytest.approx(row["effective_rank_untrained_low"], rel=1e-4)
    order = figure.chart.to_dict()["layer"][0]["encoding"]["x"]["sort"]
    assert order == ["0", "1", "2", "3", "last"]


def test_ranks_by_model(last: pl.DataFrame) -> None:
    rows = drawn(charts.rank_by_model(last), "rank", "role")
    assert [row["model"] for row in rows[:3]] == last["model"].to_list()
    without = charts.rank_by_model(last.select("model", "layer", "texts", "effective_rank"))
    assert {row["role"] for row in drawn(without, "rank")} == {"trained"}
    assert {row["low"] for row in drawn(without, "rank")} == {None}


def test_mean_spectra_count_missing_eigenvalues_as_zero() -> None:
    values = {0: [0.5, 0.3, 0.2], 1: [0.9, 0.1]}
    rows = [
        {
            "model": "m", "dataset": "d", "text_index": text, "text_id": str(text), "layer": "last", "role": "trained",
            "seed": None, "n_tokens": len(found) + 1, "hidden_size": 8, "index": index, "eigenvalue": value,
        }
        for text, found in values.items()
        for index, value in enumerate(found, 1)
    ]  # fmt: skip
    figure = charts.spectra(pl.DataFrame(rows, schema_overrides={"seed": pl.Int64}))
    means = {row["index"]: row["eigenvalue"] for row in drawn(figure, "role", "eigenvalue")}
    assert means == pytest.approx({1: 0.7, 2: 0.2, 3: 0.1})
    assert "n = 2 texts" in figure.caption
    noise = {row["index"]: (row["low"], row["high"]) for row in drawn(figure, "low", "high")}
    three, four = noise_spectrum(3, 8).tolist(), noise_spectrum(4, 8).tolist()
    assert noise[1] == pytest.approx((four[0], three[0]), rel=1e-4)
    assert noise[3] == pytest.approx((1e-7, four[2]), rel=1e-4)


def test_single_texts_are_drawn_for_few_models_only(runs: dict[str, rs.Run]) -> None:
    eigenvalues = runs["sizes"].spectra().filter(pl.col("layer") == "last")
    assert "thin, single texts" in charts.spectra(eigenvalues).caption
    many = pl.concat([eigenvalues.with_columns(pl.col("model") + end) for end in ("", "+")])
    figure = charts.spectra(many)
    assert "thin" not in figure.caption
    assert not any("text_index" in rows[0] for rows in datasets(figure.chart.to_dict()))
    assert figure.chart.to_dict()["layer"][1]["encoding"]["color"]["scale"]["domain"][:2] == ["pico-0.1m", "pico-0.4m"]


def test_boxes_are_quantiles_of_texts(runs: dict[str, rs.Run]) -> None:
    rows = runs["single"].measurements()
    boxes = {row["role"]: row for row in drawn(charts.distribution(rows), "median")}
    for role, box in boxes.items():
        ranks = rows.filter(pl.col("role") == role)["effective_rank"].to_numpy()
        shares = [box[name] for name in ("q05", "q25", "median", "q75", "q95")]
        assert shares == pytest.approx(np.quantile(ranks, [0.05, 0.25, 0.5, 0.75, 0.95]), rel=1e-4)
        assert box["texts"] == len(ranks) == 12


def test_points_against_length_are_thinned_with_their_number_said(runs: dict[str, rs.Run]) -> None:
    rows = runs["single"].measurements()
    points = drawn(charts.rank_against_length(rows), "text_id")
    assert len(points) == 12
    many = pl.concat([rows.with_columns(text_index=pl.col("text_index") + 12 * place) for place in range(100)])
    figure = charts.rank_against_length(many)
    assert len(drawn(figure, "text_id")) == 300
    assert "n = 1,200 texts per model (300 of them shown)" in figure.caption
    noise = next(rows for rows in datasets(figure.chart.to_dict()) if "text_id" not in rows[0])
    assert noise[0]["effective_rank"] == pytest.approx(
        rs.noise_value("effective_rank", noise[0]["n_tokens"], 32), rel=1e-4
    )


@pytest.mark.parametrize("against", ["hidden_size", "loss"])
def test_a_metric_against_size_and_loss(last: pl.DataFrame, against: str) -> None:
    figure = charts.rank_against(last, against)
    rows = drawn(figure, against)
    assert [row[against] for row in rows] == pytest.approx(last[against].to_list(), rel=1e-4)
    assert [row["diff_erank"] for row in rows] == pytest.approx(last["diff_erank"].to_list(), rel=1e-4)
    assert "n = 3 models, 12 texts each" in figure.caption


def test_relative_differences_are_shares_of_the_reference(runs: dict[str, rs.Run]) -> None:
    differences = rs.compare(runs["sizes"], layers=["last"]).differences
    rows = drawn(charts.relative_differences(differences), "metric")
    assert "Diff-eRank" not in {row["metric"] for row in rows}
    loss = next(one for one in differences if one.metric == "loss")
    row = next(row for row in rows if row["metric"] == "loss" and row["model"] == loss.model)
    assert row["difference"] == pytest.approx(loss.model_value / loss.reference_value - 1, rel=1e-3)
    assert row["low"] <= row["difference"] <= row["high"]


def test_through_training(runs: dict[str, rs.Run]) -> None:
    steps = pl.Series([0, 128, 512, 2048])
    summary = runs["training"].summary().with_columns(step=steps)
    ranks = [row for row in drawn(charts.rank_through_training(summary), "rank") if row["role"] == "trained"]
    assert [(row["step"], row["rank"]) for row in ranks] == [
        (step, pytest.approx(rank, rel=1e-4)) for step, rank in zip(steps, summary["effective_rank"], strict=True)
    ]
    figure = charts.loss_through_training(summary)
    assert [row["loss"] for row in drawn(figure, "loss")] == pytest.approx(summary["loss"].to_list(), rel=1e-4)
    axis = figure.chart.to_dict()["layer"][0]["encoding"]["x"]["axis"]
    assert axis["values"] == steps.to_list()


def test_alignment_ranks(alignment: rs.Run) -> None:
    rows = drawn(charts.alignment_ranks(alignment.summary()), "stage")
    assert len(rows) == 3 * 5
    assert rows[0] | {"low": 0, "high": 0} == {
        "model": "pico-vlm", "texts": 20, "stage": "1 vision encoder", "rank": 30.0, "low": 0, "high": 0,
    }  # fmt: skip


def test_a_model_has_one_colour_in_all_charts() -> None:
    names = [f"m{place}" for place in range(8)]
    whole = colour_of_models(names).to_dict()["scale"]
    rest = colour_of_models(names[1:], absent=names[:1]).to_dict()
    assert whole["domain"] == rest["scale"]["domain"] == names
    assert rest["legend"]["values"] == names[1:]
    assert whole["range"] == "category"
    assert colour_of_models([*names, "m8"]).to_dict()["scale"]["scheme"] == "tableau20"
    assert len(PALETTE) == 8


def test_what_is_not_a_number_is_not_drawn() -> None:
    frame = pl.DataFrame({"x": [1.23456789, math.nan, None]})
    assert charts.figure.inline(frame).to_dict()["values"] == [{"x": 1.2346}, {"x": None}, {"x": None}]
