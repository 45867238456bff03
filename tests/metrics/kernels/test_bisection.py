from __future__ import annotations

import math

import scipy.linalg
import torch

from rankscope.metrics.device_eigenvalues import bisect_all, launch_for, workspace_of

LEAST_SQUARE = 2.0**-120


def eigenvalues_of(
    diagonal: torch.Tensor, subdiagonal: torch.Tensor, device: torch.device, scale: float = 1.0
) -> torch.Tensor:
    n = len(diagonal)
    launch = launch_for(n)
    space = workspace_of(
        torch.zeros(1, n, n, dtype=torch.float64, device=device), torch.tensor([n], device=device), launch
    )
    space.scales.fill_(scale)
    space.tridiagonal[:, 0] = 4.0
    space.tridiagonal[:, 1] = LEAST_SQUARE
    space.tridiagonal[0, 0, :n] = diagonal
    space.tridiagonal[0, 1, 1:n] = subdiagonal.square().clamp_min(LEAST_SQUARE)
    values = torch.zeros(1, n, dtype=torch.float64, device=device)
    bisect_all(space, values, launch)
    return values[0].cpu()


def test_eigenvalues_that_are_known_in_closed_form(device: torch.device) -> None:
    n = 20  # 1/2 on the diagonal, 1/4 next to it: (1 + cos(k pi / (n + 1))) / 2
    values = eigenvalues_of(
        torch.full((n,), 0.5, dtype=torch.float64), torch.full((n - 1,), 0.25, dtype=torch.float64), device, scale=3.0
    )
    expected = [1.5 * (1 + math.cos(k * math.pi / (n + 1))) for k in range(1, n + 1)]
    torch.testing.assert_close(values, torch.tensor(expected, dtype=torch.float64), atol=2e-15, rtol=0)


def test_pairs_that_agree_to_all_digits(device: torch.device) -> None:
    n = 21  # Wilkinson's matrix, moved to be positive and scaled
    diagonal = ((torch.arange(n) - 10).abs() + 2).double() / 14
    values = eigenvalues_of(diagonal, torch.full((n - 1,), 1 / 14, dtype=torch.float64), device)
    expected = scipy.linalg.eigvalsh_tridiagonal(diagonal.numpy(), [1 / 14] * (n - 1))[::-1].copy()
    torch.testing.assert_close(values, torch.from_numpy(expected), atol=2e-15, rtol=0)
    assert float(values[0] - values[1]) < 1e-14


def test_blocks_of_equal_numbers_and_couplings_too_small_to_square(device: torch.device) -> None:
    diagonal = torch.tensor([0.25] * 9 + [0.0] * 9, dtype=torch.float64)
    subdiagonal = torch.tensor([0.0, 1e-200, 1e-17, 0.0] * 4 + [0.0], dtype=torch.float64)
    values = eigenvalues_of(diagonal, subdiagonal, device)
    torch.testing.assert_close(values, diagonal, atol=1e-16, rtol=0)


def test_eigenvalues_below_zero_are_zero(device: torch.device) -> None:
    values = eigenvalues_of(torch.tensor([-0.1, 0.5, -1e-17], dtype=torch.float64), torch.zeros(2).double(), device)
    torch.testing.assert_close(values, torch.tensor([0.5, 0.0, 0.0]).double(), atol=1e-16, rtol=0)
    assert values[1:].tolist() == [0.0, 0.0]
