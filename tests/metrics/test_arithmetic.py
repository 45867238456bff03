"""Float32 is used where the effective rank stays within 1e-6 of an oracle in float64, and only there."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from hard_matrices import KINDS, hard_matrix
from oracle import oracle_entropy
from rankscope.metrics import effective_rank, matrix_nuclear_norm, spectrum, unit_rows
from rankscope.metrics.arithmetic import float32_did, float32_may_do, is_flat


@pytest.mark.parametrize("kind", KINDS)
def test_hard_matrices_are_within_1e_6_of_the_oracle(kind: str) -> None:
    for seed in range(40):
        hidden = hard_matrix(kind, seed)
        expected = math.exp(oracle_entropy(hidden))
        assert float(effective_rank(hidden)) == pytest.approx(expected, rel=1e-6), seed
        exact = float(matrix_nuclear_norm(hidden.double()))
        assert float(matrix_nuclear_norm(hidden)) == pytest.approx(exact, rel=1e-6), seed


def test_float32_is_tried_on_large_float32_states_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    large = torch.randn(256, 256)
    assert float32_may_do(large)
    assert float32_may_do(large.bfloat16())
    assert not float32_may_do(large.double())
    assert not float32_may_do(large[:64])
    assert not float32_may_do(large.clone().requires_grad_())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert not float32_may_do(large)
    monkeypatch.setattr(torch, "get_float32_matmul_precision", lambda: "high")
    assert not float32_may_do(large)


def test_a_flat_spectrum_is_told_from_a_sample_of_rows() -> None:
    torch.manual_seed(0)
    noise = torch.randn(200, 300)
    assert is_flat(unit_rows(noise, dtype=torch.float32))
    assert not is_flat(unit_rows(noise + 5 * torch.randn(200, 1) * torch.randn(300), dtype=torch.float32))


def test_eigenvalues_near_rounding_are_not_trusted() -> None:
    flat = np.full(100, 0.01)
    assert float32_did(flat, 100)
    low_rank = np.array([0.02] * 50 + [1e-9] * 50)
    assert not float32_did(low_rank, 100)
    assert float32_did(low_rank, 50)
    massive = np.array([0.9] + [1e-4] * 999)
    assert not float32_did(massive, 1000)
    assert not float32_did(np.full(4, np.nan), 4)


def test_arithmetic_that_is_asked_for_is_kept() -> None:
    torch.manual_seed(1)
    hidden = torch.randn(128, 300)
    assert spectrum(hidden, dtype=torch.float32).eigenvalues.dtype == torch.float32
    exact = spectrum(hidden, dtype=torch.float64).eigenvalues
    torch.testing.assert_close(exact, spectrum(hidden.double()).eigenvalues, atol=1e-15, rtol=0)
    decided = spectrum(hidden).eigenvalues
    assert decided.dtype == torch.float64
    assert 0 < float((decided - exact).abs().max()) < 1e-7
