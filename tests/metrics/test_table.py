"""The table of metrics, and looking things up in it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rankscope import metrics
from rankscope.errors import UnknownNameError
from rankscope.metrics import Metric, measure, metric_named, metric_names, noise_value, table


def test_names_are_unique_and_every_metric_says_what_it_is() -> None:
    assert len(set(metric_names())) == len(table.METRICS)
    assert len({metric.label for metric in table.METRICS}) == len(table.METRICS)
    for metric in table.METRICS:
        function = getattr(metrics, metric.name, metric.function)
        assert (function.__doc__ or "").strip(), metric.name
        assert metric.range
        assert metric.digits >= 0


def test_what_a_metric_is_the_exponential_of_is_a_metric_that_is_read_alike() -> None:
    for metric in table.METRICS:
        if metric.exponential_of is not None:
            assert metric_named(metric.exponential_of).reads == metric.reads
            assert metric_named(metric.exponential_of).exponential_of is None


def test_looking_up() -> None:
    assert metric_named("effective_rank").function is metrics.effective_rank
    assert set(metric_names()) - set(metric_names(default_only=True)) >= {"rotated_matrix_nuclear_norm"}
    with pytest.raises(UnknownNameError, match="did you mean effective_rank"):
        metric_named("efective_rank")


def test_a_metric_comes_behind_what_its_mean_is_made_of() -> None:
    assert table.with_what_they_need(["loss", "effective_rank", "loss"]) == ("matrix_entropy", "loss", "effective_rank")


def test_the_table_is_read_when_it_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    toy = Metric(
        "toy", lambda rows: rows.counts.double() * 4, "unit rows", unit="", range="any", label="toy", digits=1,
        null=lambda tokens, size: float(tokens * size),
    )  # fmt: skip
    monkeypatch.setattr(table, "METRICS", (*table.METRICS, toy, replace(toy, name="toy_too", default=False)))
    assert metric_names()[-2:] == ("toy", "toy_too")
    assert metric_names(default_only=True)[-1] == "toy"
    assert noise_value("toy", 5, 3) == 15
    numbers = measure([[1.0, 2.0], [3.0, 5.0], [0.0, 1.0]])
    assert float(numbers["toy"]) == 12
    assert "toy_too" not in numbers
