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
    texts = [hard_matrix(kind, seed)[:120, :140] for seed in range(6)]
    texts[1] = texts[1][:77]
    rows, sound = quick_unit_rows(Texts.of(texts, EPS))
    for place, hidden in enumerate(texts):
        distances = centre(Texts.of([hidden], EPS), torch.float64).distances
        if bool(sound[place]):
            torch.testing.assert_close(rows.text(place).double(), unit_rows(hidden), atol=4e-7, rtol=0)
            assert not rows.rows[place, len(hidden) :].any()
        else:
            assert float(distances.min()) < 3 * NEAR_THE_MEAN


@pytest.mark.parametrize("scale", [1e-30, 1e30, float("nan"), float("inf"), 0.0])
def test_numbers_that_float32_cannot_square_are_refused(scale: float) -> None:
    texts = [torch.randn(8, 5) * scale, torch.randn(8, 5)]
    assert quick_unit_rows(Texts.of(texts, EPS))[1].tolist() == [False, True]


def test_a_batch_is_never_read_from_its_device(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("item", "tolist", "__bool__", "__float__", "__int__"):
        monkeypatch.setattr(torch.Tensor, name, lambda *_: pytest.fail("a number was read"))
    texts = Texts.of([torch.randn(6, 4), torch.randn(3, 4)], EPS)
    Faults.of(texts, centre(texts, torch.float64))
    exact_unit_rows(texts)
