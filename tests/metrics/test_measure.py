from __future__ import annotations

import pytest
import torch

from rankscope import metrics
from rankscope.metrics import Representation, measure, metric_names, spectrum
from rankscope.metrics.measure import measure_representation


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


def test_the_spectrum_comes_along_from_the_same_decomposition(monkeypatch: pytest.MonkeyPatch) -> None:
    hidden = torch.randn(9, 6)
    alone = spectrum(hidden).eigenvalues
    decompose, calls = torch.linalg.eigvalsh, []
    monkeypatch.setattr(torch.linalg, "eigvalsh", lambda gram: calls.append(1) or decompose(gram))
    one = Representation(hidden)
    numbers = measure_representation(one, metric_names())
    assert torch.equal(one.spectrum.eigenvalues, alone)
    assert calls == [1]
    assert numbers["stable_rank"] == pytest.approx(1 / float(alone[0]))
    another = Representation(hidden)
    measure_representation(another, ["matrix_nuclear_norm"])
    assert not another.has_spectrum
