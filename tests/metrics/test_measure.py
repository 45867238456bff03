from __future__ import annotations

import pytest
import torch

from rankscope import metrics
from rankscope.metrics import METRICS, OPTIONAL_METRICS, measure
from rankscope.settings import METRIC_NAMES


def test_equals_each_metric_alone() -> None:
    torch.manual_seed(0)
    hidden = torch.randn(20, 12)
    numbers = measure(hidden)
    assert set(numbers) == set(METRICS)
    for name, number in numbers.items():
        assert float(number) == pytest.approx(float(getattr(metrics, name)(hidden)), rel=1e-12)


def test_computes_only_what_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.linalg, "eigvalsh", lambda _: pytest.fail("decomposed for nothing"))
    assert set(measure(torch.randn(5, 4), ["matrix_nuclear_norm"])) == {"matrix_nuclear_norm"}


def test_settings_know_the_same_names() -> None:
    assert set(METRIC_NAMES) == {*METRICS, *OPTIONAL_METRICS, "loss"}
