from __future__ import annotations

import pytest
import torch

from rankscope import metrics
from rankscope.metrics import measure, metric_names


def test_equals_each_metric_alone() -> None:
    torch.manual_seed(0)
    hidden = torch.randn(20, 12)
    numbers = measure(hidden)
    assert set(numbers) == set(metric_names(default_only=True)) - {"loss"}
    for name, number in numbers.items():
        assert float(number) == pytest.approx(float(getattr(metrics, name)(hidden)), rel=1e-12)


def test_computes_only_what_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.linalg, "eigvalsh", lambda _: pytest.fail("decomposed for nothing"))
    assert set(measure(torch.randn(5, 4), ["matrix_nuclear_norm"])) == {"matrix_nuclear_norm"}


def test_decomposes_once_for_all_metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    decompose, calls = torch.linalg.eigvalsh, []
    monkeypatch.setattr(torch.linalg, "eigvalsh", lambda gram: calls.append(1) or decompose(gram))
    measure(torch.randn(9, 6))
    assert calls == [1]
