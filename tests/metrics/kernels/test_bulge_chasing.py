from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from rankscope.metrics.device_eigenvalues import WIDTH, chase_all_bulges, launch_for, workspace_of


def banded(n: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    matrix = torch.randn(n, n, generator=generator, dtype=torch.float64).tril().triu(-WIDTH)
    matrix = matrix + matrix.tril(-1).T
    return matrix / torch.linalg.matrix_norm(matrix, 2)


def tridiagonal_of(band: torch.Tensor, device: torch.device, group: int | None = None) -> torch.Tensor:
    """What the kernel makes of one band: its matrix, whose subdiagonal is taken as positive."""
    n = len(band)
    launch = replace(launch_for(n), chase_group=group)
    space = workspace_of(
        torch.zeros(1, n, n, dtype=torch.float64, device=device), torch.tensor([n], device=device), launch
    )
    for j in range(n):
        reach = min(n - j, WIDTH + 1)
        space.band[0, j, :reach] = band[j : j + reach, j]
    space = replace(space, tridiagonal=torch.full_like(space.tridiagonal, float("nan")))
    chase_all_bulges(space, launch)
    diagonal, squares = space.tridiagonal[0].cpu()
    assert (diagonal[n:] == 4).all()
    assert (squares[n:] == 2.0**-120).all()
    subdiagonal = squares[1:n].sqrt()
    return diagonal[:n].diag() + subdiagonal.diag(1) + subdiagonal.diag(-1)


@pytest.mark.parametrize("n", [1, 2, 3, 16, 17, 18, 33, pytest.param(75, marks=pytest.mark.slow)])
def test_a_tridiagonal_keeps_the_eigenvalues(n: int, device: torch.device) -> None:
    band = banded(n, seed=n)
    torch.testing.assert_close(
        torch.linalg.eigvalsh(tridiagonal_of(band, device)), torch.linalg.eigvalsh(band), atol=1e-14, rtol=0
    )


@pytest.mark.parametrize("n", [2, 40, pytest.param(75, marks=pytest.mark.slow)])
def test_sweeps_are_taken_in_groups(n: int, device: torch.device) -> None:
    band = banded(n, seed=n)
    torch.testing.assert_close(tridiagonal_of(band, device, group=1), tridiagonal_of(band, device), atol=1e-14, rtol=0)


def test_a_diagonal_matrix_stays(device: torch.device) -> None:
    diagonal = torch.linspace(0, 1, 20, dtype=torch.float64)
    torch.testing.assert_close(tridiagonal_of(diagonal.diag(), device).diagonal(), diagonal, atol=0, rtol=0)
