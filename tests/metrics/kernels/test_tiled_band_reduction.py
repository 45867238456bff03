from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from rankscope.metrics.device_eigenvalues import Spread, Workspace, launch_for, reduce_all_to_bands, workspace_of

TOLERANCE = {torch.float64: 1e-14, torch.float32: 2e-6}


def gram(n: int, kind: str) -> torch.Tensor:
    rows = torch.randn(n, n + 3, generator=torch.Generator().manual_seed(n), dtype=torch.float64)
    if kind == "low rank":
        rows[:, 4:] = 0
    elif kind == "rows of zeros":
        rows[::3] = 0
    return rows @ rows.T


def reduced(matrices: torch.Tensor, sizes: list[int], spread: Spread | None, device: torch.device) -> Workspace:
    launch = replace(launch_for(matrices.shape[1]), spread=spread)
    space = workspace_of(matrices.to(device), torch.tensor(sizes, device=device), launch)
    reduce_all_to_bands(space, launch)
    return space


def eigenvalues_of(band: torch.Tensor, n: int) -> torch.Tensor:
    """Of the symmetric matrix whose column j stands in row j from the diagonal down."""
    lower = torch.zeros(n, n, dtype=torch.float64)
    for j in range(n):
        reach = min(n - j, band.shape[1])
        lower[j : j + reach, j] = band[j, :reach]
    return torch.linalg.eigvalsh(lower)


@pytest.mark.parametrize("dtype", list(TOLERANCE))
@pytest.mark.parametrize("kind", ["full", "low rank", "rows of zeros"])
def test_bands_of_mixed_sizes_keep_the_eigenvalues(kind: str, dtype: torch.dtype, device: torch.device) -> None:
    sizes = [75, 5, 33, 64]
    matrices = torch.zeros(len(sizes), 75, 75, dtype=dtype)
    for place, n in zip(matrices, sizes, strict=True):
        place[:n, :n] = gram(n, kind)
    space = reduced(matrices, sizes, Spread(rows=32, columns=16, warps=4), device)
    for matrix, band, n in zip(matrices, space.band.cpu(), sizes, strict=True):
        assert (band[:, 17:] == 0).all()
        assert (band[n:] == 0).all()
        scaled = matrix[:n, :n].double() / matrix.double().trace()
        torch.testing.assert_close(
            eigenvalues_of(band, n), torch.linalg.eigvalsh(scaled), atol=TOLERANCE[dtype], rtol=0
        )


def test_the_band_is_that_of_one_program(device: torch.device) -> None:
    matrix = gram(60, "full")[None]
    spread = reduced(matrix, [60], Spread(rows=64, columns=32, warps=4), device).band[:, :60]
    alone = reduced(matrix, [60], None, device).band[:, :60]
    torch.testing.assert_close(spread, alone, atol=1e-14, rtol=0)
