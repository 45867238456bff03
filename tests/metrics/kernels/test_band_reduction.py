from __future__ import annotations

import pytest
import torch

from rankscope.metrics.device_eigenvalues import WIDTH, launch_for, reduce_all_to_bands, workspace_of

TOLERANCE = {torch.float64: 1e-14, torch.float32: 2e-6}


def symmetric(n: int, kind: str) -> torch.Tensor:
    generator = torch.Generator().manual_seed(n)
    matrix = torch.randn(n, n, generator=generator, dtype=torch.float64)
    matrix = matrix @ matrix.T
    if kind == "columns of zeros":
        keep = torch.arange(n) % 3 > 0
        matrix *= keep[:, None] & keep
    elif kind == "low rank":
        matrix = matrix[:, :4] @ matrix[:, :4].T
    return matrix / matrix.trace()


def dense_of(band: torch.Tensor, n: int) -> torch.Tensor:
    """The symmetric matrix of a band whose row j holds column j from the diagonal down."""
    lower = torch.zeros(n, n, dtype=band.dtype)
    for j in range(n):
        reach = min(n - j, band.shape[1])
        lower[j : j + reach, j] = band[j, :reach]
    return lower + lower.tril(-1).T


@pytest.mark.parametrize("kind", ["full", "columns of zeros", "low rank"])
@pytest.mark.parametrize("n", [15, 16, 17, 34, 70])
def test_a_band_keeps_the_eigenvalues(n: int, kind: str, device: torch.device) -> None:
    matrix = symmetric(n, kind)
    launch = launch_for(n)
    space = workspace_of(matrix[None].to(device), torch.tensor([n], device=device), launch)
    reduce_all_to_bands(space, launch)
    band = space.band[0].cpu()
    assert (band[:, WIDTH + 1 :] == 0).all()
    assert (band[n:] == 0).all()
    torch.testing.assert_close(
        torch.linalg.eigvalsh(dense_of(band, n)), torch.linalg.eigvalsh(matrix), atol=1e-14, rtol=0
    )


@pytest.mark.parametrize("dtype", list(TOLERANCE))
def test_each_matrix_of_a_batch_has_a_size_of_its_own(dtype: torch.dtype, device: torch.device) -> None:
    sizes = torch.tensor([50, 33, 5])
    matrices = torch.zeros(3, 50, 50, dtype=dtype)
    for matrix, n in zip(matrices, sizes.tolist(), strict=True):
        matrix[:n, :n] = symmetric(n, "full")
    launch = launch_for(50)
    space = workspace_of(matrices.to(device), sizes.to(device), launch)
    reduce_all_to_bands(space, launch)
    for matrix, band, n in zip(matrices, space.band.cpu(), sizes.tolist(), strict=True):
        torch.testing.assert_close(
            torch.linalg.eigvalsh(dense_of(band.double(), n)),
            torch.linalg.eigvalsh(matrix[:n, :n].double()),
            atol=TOLERANCE[dtype],
            rtol=0,
        )
