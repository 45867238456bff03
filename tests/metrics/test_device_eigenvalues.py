from __future__ import annotations

import importlib.util
import math
from dataclasses import replace

import pytest
import torch

from rankscope.metrics import device_eigenvalues
from rankscope.metrics.device_eigenvalues import Launch, Spread, can_decompose, eigenvalues_on_device, launch_for

TOLERANCE = {torch.float64: 1e-14, torch.float32: 2e-6}
TOLERANCE_OF_LARGE = {torch.float64: 1e-14, torch.float32: 8e-6}
"""From 1,000 rows. LAPACK's own float32 is off by 3e-6 on the full matrix of 1,024 rows, by 8e-6 on that of 2,048."""
needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


def gram(n: int, kind: str) -> torch.Tensor:
    """A positive semidefinite matrix."""
    generator = torch.Generator().manual_seed(n)
    rows = torch.randn(n, n + 3, generator=generator, dtype=torch.float64)
    if kind == "rank deficient":
        rows[:, 3:] = 0
    elif kind == "one huge eigenvalue":
        rows = rows * 1e-6 + torch.linspace(1, 2, n, dtype=torch.float64)[:, None]
    elif kind == "multiple eigenvalues":
        basis = torch.linalg.qr(rows[:, :n]).Q
        return (basis * (1.0 + torch.arange(n) // 4)) @ basis.T
    elif kind == "diagonal":
        rows = rows[:, :n].diagonal().diag()
    elif kind == "zero":
        rows = rows * 0
    return rows @ rows.T


def padded(matrices: list[torch.Tensor], dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    sizes = torch.tensor([len(one) for one in matrices])
    batch = torch.zeros(len(matrices), int(sizes.max()), int(sizes.max()), dtype=dtype)
    for place, one in zip(batch, matrices, strict=True):
        place[: len(one), : len(one)] = one
    return batch, sizes


def check(batch: torch.Tensor, sizes: torch.Tensor, device: torch.device, launch: Launch | None = None) -> None:
    values = eigenvalues_on_device(batch.to(device), sizes.to(device), launch)
    assert values.dtype == batch.dtype
    assert (values >= 0).all()
    assert (values.diff(dim=1) <= 0).all()
    for found, matrix, n in zip(values.cpu(), batch.double(), sizes.tolist(), strict=True):
        expected = torch.linalg.eigvalsh(matrix[:n, :n]).flip(0).clamp_min(0)
        allowed = (TOLERANCE_OF_LARGE if n >= 1000 else TOLERANCE)[batch.dtype]
        torch.testing.assert_close(found[:n].double(), expected, atol=allowed * float(expected[0]), rtol=0)
        assert (found[n:] == 0).all()


@pytest.mark.parametrize("dtype", list(TOLERANCE))
def test_mixed_sizes(dtype: torch.dtype, device: torch.device) -> None:
    check(*padded([gram(n, "full") for n in (1, 2, 3, 5, 17)], dtype), device)


KINDS = ("rank deficient", "one huge eigenvalue", "multiple eigenvalues", "diagonal", "zero")


@pytest.mark.slow
def test_all_kinds_of_matrices(device: torch.device) -> None:
    check(*padded([gram(18, kind) for kind in KINDS], torch.float64), device)


@needs_cuda
@pytest.mark.parametrize("n", range(17, 41))
def test_multiple_eigenvalues_stay_together_on_a_cuda_device(n: int) -> None:
    check(*padded([gram(n, "multiple eigenvalues")], torch.float64), torch.device("cuda"))


@pytest.mark.slow
def test_larger_matrices(device: torch.device) -> None:
    check(*padded([gram(130, "full")], torch.float64), device)  # above 128, the layout is another


def test_the_layout_of_large_matrices(device: torch.device) -> None:
    launch = replace(launch_for(1024), tile=32, spread=Spread(rows=32, columns=32), chase_group=1)
    check(*padded([gram(n, "full") for n in (2, 35, 17)], torch.float64), device, launch)


@pytest.mark.parametrize("scale", [1e-250, 1e200])
def test_scale_does_not_matter(scale: float, device: torch.device) -> None:
    matrix, size = gram(4, "full")[None].to(device), torch.tensor([4], device=device)
    values = eigenvalues_on_device(scale * matrix, size)[0] / scale
    expected = eigenvalues_on_device(matrix, size)[0]
    torch.testing.assert_close(values, expected, atol=1e-14 * float(expected[0]), rtol=0)


@pytest.mark.parametrize(
    ("row", "column", "bad"),
    [(0, 0, math.nan), (0, 1, math.nan), (19, 2, math.nan), (19, 18, math.inf)],
)
@pytest.mark.filterwarnings("ignore:invalid value encountered")
def test_a_matrix_that_is_not_finite_has_none(row: int, column: int, bad: float, device: torch.device) -> None:
    matrix = torch.eye(20).double()
    matrix[row, column] = matrix[column, row] = bad
    values = eigenvalues_on_device(matrix[None].to(device), torch.tensor([20], device=device))
    assert values.isnan().all()


def test_a_batch_too_large_is_taken_in_parts(monkeypatch: pytest.MonkeyPatch, device: torch.device) -> None:
    batch, sizes = (one.to(device) for one in padded([gram(n, "full") for n in (2, 4, 3)], torch.float64))
    whole = eigenvalues_on_device(batch, sizes)
    monkeypatch.setattr(device_eigenvalues, "WORK_BYTES", 2 * 8 * 32 * 32)
    torch.testing.assert_close(eigenvalues_on_device(batch, sizes), whole, atol=0, rtol=0)


def test_what_the_kernels_take(monkeypatch: pytest.MonkeyPatch) -> None:
    cuda = torch.device("cuda")
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    assert can_decompose(cuda, 2048, torch.float64)
    assert can_decompose(cuda, 2, torch.float32)
    assert not can_decompose(cuda, 2049, torch.float64)
    assert not can_decompose(cuda, 100, torch.float16)
    assert not can_decompose(torch.device("cpu"), 100, torch.float64)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert not can_decompose(cuda, 100, torch.float64)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr(torch.version, "cuda", None)  # a build for AMD's cards calls them cuda too
    assert not can_decompose(cuda, 100, torch.float64)


@needs_cuda
@pytest.mark.parametrize("dtype", list(TOLERANCE))
@pytest.mark.parametrize("n", [16, 100, 128, 200, 330, 512, 1024, 2048])
def test_on_a_cuda_device(n: int, dtype: torch.dtype) -> None:
    batch, sizes = padded([gram(n, "full"), gram(n // 2, "full"), *(gram(n - 1, kind) for kind in KINDS)], dtype)
    check(batch, sizes, torch.device("cuda"))


@needs_cuda
@pytest.mark.filterwarnings("ignore:Synchronization debug mode is a prototype")
def test_the_host_does_not_wait() -> None:
    batch, sizes = (one.cuda() for one in padded([gram(n, "full") for n in (40, 70)], torch.float64))
    eigenvalues_on_device(batch, sizes)  # compiled by now
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        with torch.cuda.stream(torch.cuda.Stream()):
            eigenvalues_on_device(batch, sizes)
    finally:
        torch.cuda.set_sync_debug_mode("default")
