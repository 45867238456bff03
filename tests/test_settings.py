from __future__ import annotations

from rankscope.settings import DEFAULT_METRICS, Settings, changed


def test_all_metrics_unless_some_are_named() -> None:
    assert Settings().metric_names == DEFAULT_METRICS
    assert Settings(metrics="loss , stable_rank,loss").metric_names == ("loss", "stable_rank")
    assert Settings(metrics="effective_rank").metric_names == ("matrix_entropy", "effective_rank")


def test_changes_leave_the_rest() -> None:
    assert changed(Settings(limit=3), {"layers": "all"}) == Settings(limit=3, layers="all")
