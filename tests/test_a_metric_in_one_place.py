"""A metric that is declared in its table alone reaches all that a user sees."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

import rankscope as rs
from rankscope.cli import main
from rankscope.errors import UnknownNameError
from rankscope.metrics import Metric, Spectrum, metric_names, table
from rankscope.metrics.table import ADJACENT_LAYERS
from rankscope.reports import Report, build_report
from rankscope.reports.html_page import render_page

pytestmark = pytest.mark.slow

MODELS = ["pico-0.1m", "pico-0.4m"]


def share_of_the_largest(one: Spectrum) -> Tensor:
    """Share of the largest eigenvalue."""
    return one.eigenvalues[..., 0]


TOY = Metric(
    "largest_share", share_of_the_largest, "spectrum", unit="", range="0 to 1", label="largest share", digits=3,
    null=lambda tokens, hidden_size: 0.5,
)  # fmt: skip


def measured(folder: Path, **settings: object) -> rs.Run:
    return rs.evaluate(MODELS, "stdlib-docs", output=folder, limit=4, max_length=64, untrained_seeds=0, **settings)


def listed(capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit):
        main(["list", "metrics"])
    return " ".join(capsys.readouterr().out.split())


def check_numbers(run: rs.Run, metric: Metric) -> None:
    """It is in the measurements, the summary and the comparison; of adjacent layers, where there is one before."""
    has_it = pl.col("layer") != "0" if metric.reads in ADJACENT_LAYERS else pl.lit(value=True)
    rows = run.measurements()
    assert rows.filter(has_it)[metric.name].null_count() == 0
    assert rows.filter(~has_it)[metric.name].drop_nulls().is_empty()
    for row in run.summary().filter(has_it).rows(named=True):
        assert row[f"{metric.name}_low"] <= row[metric.name] <= row[f"{metric.name}_high"]
        assert (metric.null is not None) == (row.get(f"{metric.name}_over_noise") is not None)
    compared_as = next((one.name for one in table.METRICS if one.exponential_of == metric.name), metric.name)
    assert {one.model for one in rs.compare(run).differences if one.metric == compared_as} == set(MODELS[1:])


def check_pages(report: Report, metric: Metric) -> None:
    """It is in the report's table of all numbers, and on the page."""
    assert metric.label in [column.heading for column in report.tables()["metrics"].columns]
    assert f'<button type="button">{metric.label}</button>' in render_page(report)


@pytest.mark.parametrize("default", [True, False])
def test_a_metric_that_is_added_to_the_table_is_everywhere(
    default: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    toy = replace(TOY, default=default)
    monkeypatch.setattr(table, "METRICS", (*table.METRICS, toy))
    run = measured(tmp_path / "run", metrics=None if default else f"stable_rank,{TOY.name}")
    rows = run.measurements()
    assert rows[TOY.name].to_list() == pytest.approx([1 / value for value in rows["stable_rank"].to_list()])
    check_numbers(run, toy)
    check_pages(build_report(run), toy)
    in_headline = TOY.label in [column.heading for column in build_report(run).tables()["summary"].columns]
    assert in_headline is not default  # the headline has its own choice, and what was asked for by name
    assert f"{TOY.name} Share of the largest eigenvalue." in listed(capsys)


def test_a_metric_that_is_not_in_the_table_is_unknown(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match=TOY.name):
        measured(tmp_path / "run", metrics=TOY.name)


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> rs.Run:
    """A run of all metrics that are declared."""
    return measured(tmp_path_factory.mktemp("everything") / "run", metrics=metric_names(), layers="all")


@pytest.fixture(scope="module")
def report(everything: rs.Run) -> Report:
    return build_report(everything)


@pytest.mark.parametrize("metric", table.METRICS, ids=metric_names())
def test_every_declared_metric_is_everywhere(
    metric: Metric, everything: rs.Run, report: Report, capsys: pytest.CaptureFixture[str]
) -> None:
    check_numbers(everything, metric)
    check_pages(report, metric)
    assert f" {metric.name} " in listed(capsys)
