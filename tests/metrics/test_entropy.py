from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings

from oracle import oracle_entropy
from rankscope.errors import SettingsError
from rankscope.metrics import (
    effective_rank,
    matrix_entropy,
    normalized_matrix_entropy,
    participation_ratio,
    renyi_entropy,
    spectrum,
    stable_rank,
)
from strategies import equal_eigenvalues, representations

laws = settings(max_examples=60, deadline=None, derandomize=True)


@laws
@given(representations())
def test_matrix_entropy_equals_the_oracle(hidden: torch.Tensor) -> None:
    assert float(matrix_entropy(hidden)) == pytest.approx(oracle_entropy(hidden), abs=1e-10)


@laws
@given(representations())
def test_ranks_are_ordered_and_within_their_range(hidden: torch.Tensor) -> None:
    one = spectrum(hidden)
    ceiling = min(hidden.shape[0] - 1, hidden.shape[1])
    stable, participation, effective = (
        float(metric(one)) for metric in (stable_rank, participation_ratio, effective_rank)
    )
    assert 1 - 1e-12 <= stable <= participation + 1e-9
    assert participation <= effective + 1e-9
    assert effective <= ceiling + 1e-9
    assert 0 <= float(normalized_matrix_entropy(one)) <= 1 + 1e-12


@pytest.mark.parametrize("k", [1, 2, 5, 16])
def test_k_equal_eigenvalues_give_k(k: int) -> None:
    one = spectrum(equal_eigenvalues(k))
    for metric in (effective_rank, stable_rank, participation_ratio):
        assert float(metric(one)) == pytest.approx(k)
    assert float(matrix_entropy(one)) == pytest.approx(math.log(k))
    assert float(normalized_matrix_entropy(one)) == pytest.approx(math.log(k) / math.log(16))
    for alpha in (0, 0.5, 1, 2, math.inf):
        assert float(renyi_entropy(one, alpha)) == pytest.approx(math.log(k))


def test_two_unequal_eigenvalues_by_hand() -> None:
    # Rows +-e1 three times, +-e2 once: eigenvalues 3/4 and 1/4.
    rows = torch.tensor([[1.0, 0.0], [-1.0, 0.0]] * 3 + [[0.0, 1.0], [0.0, -1.0]])
    entropy = 0.75 * math.log(4 / 3) + 0.25 * math.log(4)
    assert float(matrix_entropy(rows)) == pytest.approx(entropy)
    assert float(effective_rank(rows)) == pytest.approx(math.exp(entropy))
    assert float(stable_rank(rows)) == pytest.approx(4 / 3)
    assert float(participation_ratio(rows)) == pytest.approx(1.6)
    assert float(renyi_entropy(rows, 2)) == pytest.approx(math.log(1.6))
    assert float(renyi_entropy(rows, 0)) == pytest.approx(math.log(2))


@laws
@given(representations())
def test_renyi_entropy_meets_its_limits_and_falls_with_alpha(hidden: torch.Tensor) -> None:
    one = spectrum(hidden)
    entropy = float(matrix_entropy(one))
    for alpha in (1 - 1e-6, 1, 1 + 1e-6):
        assert float(renyi_entropy(one, alpha)) == pytest.approx(entropy, abs=1e-4)
    assert float(renyi_entropy(one, 2)) == pytest.approx(math.log(float(participation_ratio(one))), abs=1e-9)
    assert float(renyi_entropy(one, 400)) == pytest.approx(math.log(float(stable_rank(one))), rel=0.01, abs=0.01)
    falling = [float(renyi_entropy(one, alpha)) for alpha in (0, 0.3, 1, 2, 5, math.inf)]
    assert falling == pytest.approx(sorted(falling, reverse=True), abs=1e-9)


@pytest.mark.parametrize("alpha", [-1, math.nan])
def test_renyi_entropy_refuses_an_order_below_zero(alpha: float) -> None:
    with pytest.raises(SettingsError, match="alpha="):
        renyi_entropy(torch.randn(5, 4), alpha)


def test_normalized_entropy_refuses_one_dimension() -> None:
    with pytest.raises(SettingsError, match="hidden size"):
        normalized_matrix_entropy(torch.randn(5, 1))


def test_every_gradient_is_finite_on_a_representation_of_low_rank() -> None:
    torch.manual_seed(0)
    low_rank = torch.randn(12, 3) @ torch.randn(3, 20)
    for metric in (matrix_entropy, effective_rank, stable_rank, participation_ratio):
        hidden = low_rank.clone().requires_grad_()
        metric(hidden).backward()
        assert hidden.grad is not None
        assert torch.isfinite(hidden.grad).all()
        assert hidden.grad.any()


def test_raising_effective_rank_by_its_gradient_raises_it() -> None:
    torch.manual_seed(1)
    hidden = (torch.randn(20, 4) @ torch.randn(4, 10) + 0.1 * torch.randn(20, 10)).requires_grad_()
    before = effective_rank(hidden)
    before.backward()
    assert hidden.grad is not None
    after = effective_rank(hidden.detach() + 0.5 * hidden.grad)
    assert float(after) > float(before.detach()) + 0.01
