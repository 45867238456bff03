"""All eigenvalues of many small symmetric matrices at once on a CUDA device.

The vendor's decomposition takes batches one matrix after the other and leaves most of the card idle. Here each matrix
is one program's work: dense to band, band to tridiagonal, then bisection. All arithmetic is exact in the sense that
LAPACK's is: eigenvalues of a matrix within a few n eps ||A|| of the given one.
"""

from __future__ import annotations

import importlib.util
import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

LARGEST = {torch.float64: 2048, torch.float32: 2048}
"""The largest matrix that the kernels were tested with, for each arithmetic."""

WORK_BYTES = 4 << 30
"""Batches whose copies would be larger are taken in parts."""


@dataclass(frozen=True)
class Launch:
    """How the kernels are laid out on the device. It changes the time, not the values beyond rounding.

    Attributes:
        tile: rows and columns of the tiles in the reduction to a band; a power of two, 32 to 128.
        reduction_warps: warps of a program that reduces one matrix to a band.
        chasing_warps: warps of a program that makes one band tridiagonal.
        bisection_block: eigenvalues of one matrix that a warp of the bisection takes.
    """

    tile: int = 64
    reduction_warps: int = 8
    chasing_warps: int = 8
    bisection_block: int = 128


def can_decompose(device: torch.device, n: int, dtype: torch.dtype) -> bool:
    """Whether `eigenvalues_on_device` takes n x n matrices of that dtype there; if not, use `torch.linalg.eigvalsh`."""
    return (
        device.type == "cuda"
        and torch.version.cuda is not None
        and n <= LARGEST.get(dtype, 0)
        and importlib.util.find_spec("triton") is not None
    )


def eigenvalues_on_device(
    grams: Float[Tensor, "batch n n"], sizes: Int[Tensor, " batch"], launch: Launch | None = None
) -> Float[Tensor, "batch n"]:
    """The eigenvalues of positive semidefinite matrices of different sizes, without waiting for the device.

    Args:
        grams: symmetric matrices, float64 or float32, each in the first rows and columns, zeros behind.
        sizes: each matrix's own size, on the same device. A matrix costs what its own size needs.
        launch: the layout on the device; None: chosen by n.

    Returns:
        For each matrix its eigenvalues, descending, none below 0, zeros behind its own size. Not differentiable.
    """
    batch, n, _ = grams.shape
    launch = launch or Launch()
    values = grams.new_zeros(batch, n)
    part = max(1, WORK_BYTES // (grams.element_size() * _stride(n, launch) ** 2))
    for start in range(0, batch, part):
        some = slice(start, start + part)
        _decompose(grams[some].detach(), sizes[some].to(torch.int32), values[some], launch)
    return values


def _stride(n: int, launch: Launch) -> int:
    return math.ceil(n / launch.tile) * launch.tile


def _decompose(grams: Tensor, sizes: Tensor, values: Tensor, launch: Launch) -> None:
    """Runs the three kernels on one part of a batch."""
    from rankscope.metrics.kernels.band_reduction import WIDTH, reduce_to_band
    from rankscope.metrics.kernels.bisection import bisect
    from rankscope.metrics.kernels.bulge_chasing import chase_bulges

    batch, n, _ = grams.shape
    stride = _stride(n, launch)
    # Scaled to trace 1, so that one set of thresholds serves all.
    trace = grams.diagonal(dim1=1, dim2=2).sum(1)
    scales = torch.where(trace > 0, trace, 1.0)
    work = grams.new_zeros(batch, stride, stride)
    torch.div(grams, scales[:, None, None], out=work[:, :n, :n])
    reflectors, updates = grams.new_zeros(2, batch, 2, stride, WIDTH)
    band = grams.new_zeros(batch, stride, 2 * WIDTH)
    tridiagonal = torch.empty(batch, 2, stride, dtype=torch.float64, device=grams.device)
    tiny = 1e-280 if grams.dtype == torch.float64 else 1e-30
    reduce_to_band[(batch,)](
        work, reflectors, updates, band, sizes, stride, tiny,
        ROWS=_power_of_two(stride), TILE=launch.tile, WIDTH=WIDTH, num_warps=launch.reduction_warps,
    )  # fmt: skip
    slots = _power_of_two(math.ceil(n / (2 * WIDTH)))
    chase_bulges[(batch,)](
        band, tridiagonal, sizes, stride, tiny,
        SLOTS=slots, WIDTH=WIDTH, CHUNK=launch.tile, num_warps=min(launch.chasing_warps, max(1, slots // 2)),
    )  # fmt: skip
    halvings = 54 if grams.dtype == torch.float64 else 30
    bisect[(batch, math.ceil(n / launch.bisection_block))](
        tridiagonal, values, sizes, scales.double(), stride, n, halvings,
        BLOCK=launch.bisection_block, CHUNK=launch.tile, num_warps=1,
    )  # fmt: skip


def _power_of_two(at_least: int) -> int:
    return 1 << (at_least - 1).bit_length()
