"""Unit rows of a batch; those of float32 within its rounding of float64."""

from __future__ import annotations

import pytest
import torch

from hard_matrices import KINDS, hard_matrix
from rankscope.metrics import unit_rows
from rankscope.metrics.faults import Faults
from rankscope.metrics.rows import NEAR_THE_MEAN, Texts, centre, exact_unit_rows, quick_unit_rows

EPS = torch.finfo(torch.float32).eps


@pytest.mark.parametrize("kind", KINDS)
def test_float32_rows_are_exact_up_to_rounding_or_refused(kind: str) -> None:
    for seed in range(6):
        hidden = hard_matrix(kind, seed)[: 120 - seed, :140]
        rows = quick_unit_rows(hidden)
        if rows is not None:
            torch.testing.assert_close(rows.double(), unit_rows(hidden), atol=4e-7, rtol=0)
        else:
            assert float(centre(Texts.of([hidden], EPS), torch.float64).distances.min()) < 3 * NEAR_THE_MEAN


@pytest.mark.parametrize("scale", [1e-30, 1e30, float("nan"), float("inf"), 0.0])
def test_numbers_that_float32_cannot_square_are_refused(scale: float) -> None:
    assert quick_unit_rows(torch.randn(8, 5) * scale) is None
    assert quick_unit_rows(torch.randn(8, 5)) is not None


def test_a_batch_is_never_read_from_its_device(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("item", "tolist", "__bool__", "__float__", "__int__"):
        monkeypatch.setattr(torch.Tensor, name, lambda *_: pytest.fail("a number was read"))
    texts = Texts.of([torch.randn(6, 4), torch.randn(3, 4)], EPS)
    Faults.of(texts, centre(texts, torch.float64))
    exact_unit_rows(texts)
