from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings

from rankscope.metrics import matrix_nuclear_norm, nuclear_norm
from strategies import equal_eigenvalues, representations, rotation

laws = settings(max_examples=60, deadline=None, derandomize=True)


def rows_by_definition(hidden: torch.Tensor) -> np.ndarray:
    z = hidden.double().numpy()
    z = z - z.mean(axis=0)
    return z / np.linalg.norm(z, axis=1, keepdims=True)


@laws
@given(representations())
def test_nuclear_norm_is_the_sum_of_singular_values(hidden: torch.Tensor) -> None:
    singular_values = np.linalg.svd(rows_by_definition(hidden), compute_uv=False)
    assert float(nuclear_norm(hidden)) == pytest.approx(singular_values.sum(), abs=1e-5)


@laws
@given(representations())
def test_matrix_nuclear_norm_by_definition(hidden: torch.Tensor) -> None:
    tokens, hidden_size = hidden.shape
    columns = sorted(np.linalg.norm(rows_by_definition(hidden), axis=0), reverse=True)
    expected = sum(columns[: min(tokens, hidden_size)]) / tokens
    assert float(matrix_nuclear_norm(hidden)) == pytest.approx(expected, rel=1e-10)


def test_only_the_exact_norm_is_invariant_to_rotation() -> None:
    torch.manual_seed(0)
    hidden = torch.randn(64, 128, dtype=torch.float64)
    hidden[:, :2] *= 100  # two outlier features
    turned = hidden @ rotation(128)
    assert float(nuclear_norm(turned)) == pytest.approx(float(nuclear_norm(hidden)), rel=1e-9)
    assert float(matrix_nuclear_norm(turned)) > 2 * float(matrix_nuclear_norm(hidden))


@pytest.mark.parametrize(("tokens", "hidden_size"), [(256, 1024), (1024, 256)])
def test_isotropic_noise_has_the_stated_matrix_nuclear_norm(tokens: int, hidden_size: int) -> None:
    torch.manual_seed(0)
    noise = (min(tokens, hidden_size) / max(tokens, hidden_size)) ** 0.5
    assert float(matrix_nuclear_norm(torch.randn(tokens, hidden_size))) == pytest.approx(noise, rel=0.1)


def test_equal_eigenvalues_by_hand() -> None:
    # 2k rows +-e_i: k singular values sqrt(2), k column norms sqrt(2).
    for k in (2, 8):
        assert float(nuclear_norm(equal_eigenvalues(k))) == pytest.approx(k * 2**0.5)
        assert float(matrix_nuclear_norm(equal_eigenvalues(k))) == pytest.approx(k * 2**0.5 / (2 * k))


def test_batch_equals_one_by_one() -> None:
    torch.manual_seed(1)
    batch, mask = torch.randn(2, 6, 4), torch.tensor([[1, 1, 1, 1, 1, 1], [1, 1, 1, 0, 0, 0]])
    for metric in (nuclear_norm, matrix_nuclear_norm):
        alone = [metric(batch[0]), metric(batch[1, :3])]
        torch.testing.assert_close(metric(batch, mask), torch.stack(alone))


def test_gradients_are_finite_on_low_rank() -> None:
    torch.manual_seed(2)
    for metric in (nuclear_norm, matrix_nuclear_norm):
        hidden = (torch.randn(12, 3) @ torch.randn(3, 20)).requires_grad_()
        metric(hidden).backward()
        assert hidden.grad is not None
        assert torch.isfinite(hidden.grad).all()
