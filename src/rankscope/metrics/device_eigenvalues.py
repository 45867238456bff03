"""All eigenvalues of many small symmetric matrices at once on a CUDA device.

The vendor's decomposition processes a batch one matrix at a time and leaves most of the card idle. Here each matrix is
the work of one program, and many run in parallel: dense to band, band to tridiagonal, then bisection. The eigenvalues
are those of a matrix within a few n eps ||A|| of the given one, like LAPACK's.
"""

from __future__ import annotations

import importlib.util
import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

LARGEST = 2048
"""Size of the largest matrix that the kernels were tested with."""

WORK_BYTES = 4 << 30
"""A batch whose copy would be larger is split."""

WIDTH = 16
"""Subdiagonals of the band: the matrix products of the first kernel need 16 columns."""


@dataclass(frozen=True)
class Spread:
    """How one matrix's reduction to a band is spread over the device.

    Attributes:
        rows: rows of a block, the work of one program, a power of two; below 32 per warp, some work is repeated.
        columns: columns of a block processed at once, a power of two, at most `rows`.
        warps: warps per block.
        registers: maximum number of registers per thread; None: the compiler's choice.
    """

    rows: int = 128
    columns: int = 64
    warps: int = 4
    registers: int | None = 255


@dataclass(frozen=True)
class Launch:
    """The layout of the kernels on the device. It affects the time, and values by no more than rounding.

    Attributes:
        tile: rows and columns of a tile of the dense matrix, a power of two.
        band_warps: warps that reduce one matrix to a band.
        band_registers: maximum number of registers per thread; None: the compiler's choice.
        chase_warps: warps that make one band tridiagonal.
        chase_registers: maximum number of registers per thread; None: the compiler's choice.
        chase_group: number of sweeps processed at a time, a power of two; None: all at once.
        bisection_block: number of eigenvalues computed by one warp.
        spread: reduction to a band by several programs per matrix; None: by one, which suits small matrices.
    """

    tile: int
    band_warps: int
    band_registers: int | None
    chase_warps: int
    chase_registers: int | None
    bisection_block: int = 128
    chase_group: int | None = None
    spread: Spread | None = None

    @property
    def block(self) -> int:
        """Matrices are padded to whole blocks of rows."""
        return max(self.tile, self.spread.rows) if self.spread else self.tile


@dataclass(frozen=True)
class Workspace:
    """Data passed between the kernels, for one batch."""

    sizes: Tensor
    scales: Tensor
    dense: Tensor
    reflectors: Tensor
    updates: Tensor
    band: Tensor
    tridiagonal: Tensor

    @property
    def stride(self) -> int:
        """Rows of a matrix, padded with zeros to whole tiles."""
        return self.dense.shape[1]

    @property
    def tiny(self) -> float:
        """Squared lengths up to this value count as zero: smaller ones have lost digits to underflow."""
        return 1e-280 if self.dense.dtype == torch.float64 else 1e-30


def can_decompose(device: torch.device, n: int, dtype: torch.dtype) -> bool:
    """Whether `eigenvalues_on_device` supports n x n matrices of this dtype; if not, use `torch.linalg.eigvalsh`."""
    return (
        device.type == "cuda"
        and torch.version.cuda is not None
        and n <= LARGEST
        and dtype in (torch.float32, torch.float64)
        and importlib.util.find_spec("triton") is not None
    )


def eigenvalues_on_device(
    grams: Float[Tensor, "batch n n"], sizes: Int[Tensor, " batch"], launch: Launch | None = None
) -> Float[Tensor, "batch n"]:
    """The eigenvalues of positive semidefinite matrices of different sizes, without waiting for the device.

    Args:
        grams: symmetric matrices in float64 or float32, each in its first rows and columns, padded with zeros.
        sizes: each matrix's own size, on the same device. The cost of a matrix depends on its own size.
        launch: the layout on the device; None: chosen by n.

    Returns:
        For each matrix its eigenvalues, descending, none below 0, padded with zeros; NaN for a matrix that contains
        NaN or infinity. Not differentiable.
    """
    batch, n, _ = grams.shape
    launch = launch or launch_for(n)
    values = grams.new_zeros(batch, n)
    part = max(1, WORK_BYTES // (grams.element_size() * max(n, launch.block) ** 2))
    for start in range(0, batch, part):
        some = slice(start, start + part)
        workspace = workspace_of(grams[some].detach(), sizes[some], launch)
        reduce_all_to_bands(workspace, launch)
        chase_all_bulges(workspace, launch)
        bisect_all(workspace, values[some], launch)
    return values


def launch_for(n: int) -> Launch:
    """The layout for matrices of up to n rows."""
    if n <= 128:
        return Launch(tile=32, band_warps=2, band_registers=None, chase_warps=2, chase_registers=None)
    if n <= 512:
        return Launch(tile=32, band_warps=8, band_registers=128, chase_warps=8, chase_registers=128)
    spread = Spread()  # None: the method for smaller matrices
    return Launch(
        tile=64, band_warps=16, band_registers=128, chase_warps=8, chase_registers=128, chase_group=16, spread=spread
    )


def workspace_of(grams: Float[Tensor, "batch n n"], sizes: Int[Tensor, " batch"], launch: Launch) -> Workspace:
    """A copy of the matrices, scaled to trace 1 so that the same thresholds suit all, and working memory."""
    batch, n, _ = grams.shape
    stride = math.ceil(n / launch.block) * launch.block
    trace = grams.diagonal(dim1=1, dim2=2).sum(1)
    scales = torch.where(trace == 0, 1.0, trace)
    dense = grams.new_zeros(batch, stride, stride)
    torch.div(grams, scales[:, None, None], out=dense[:, :n, :n])
    return Workspace(
        sizes=sizes.to(torch.int32),
        scales=scales.double(),
        dense=dense,
        reflectors=grams.new_zeros(batch, 2, stride, WIDTH),
        updates=grams.new_zeros(batch, 2, stride, WIDTH),
        band=grams.new_zeros(batch, stride, 2 * WIDTH),
        tridiagonal=grams.new_empty(batch, 2, stride, dtype=torch.float64),
    )


def reduce_all_to_bands(space: Workspace, launch: Launch) -> None:
    """Reduces dense matrices to bands with the same eigenvalues."""
    if launch.spread:
        _reduce_panel_by_panel(space, launch.spread)
        return
    from rankscope.metrics.kernels.band_reduction import reduce_to_band

    reduce_to_band[(len(space.sizes),)](
        space.dense, space.reflectors, space.updates, space.band, space.sizes, space.stride,
        ROWS=max(128, _power_of_two(space.stride)), TILE=launch.tile, WIDTH=WIDTH, TINY=space.tiny,
        num_warps=launch.band_warps, num_stages=1, maxnreg=launch.band_registers,
    )  # fmt: skip


def _reduce_panel_by_panel(space: Workspace, spread: Spread) -> None:
    """Reduces each matrix by several programs. The host launches as many panels as the largest matrix has."""
    from rankscope.metrics.kernels.tiled_band_reduction import factor_one_panel, pass_over_blocks, update_next_panel

    batch, stride = len(space.sizes), space.stride
    blocks = stride // spread.rows
    triangles = space.dense.new_empty(batch, WIDTH, WIDTH)
    products = space.dense.new_empty(batch, blocks, stride, WIDTH)
    inner = space.dense.new_empty(batch, blocks, WIDTH, WIDTH)
    for start in range(0, stride, WIDTH):
        first = (start + WIDTH) // spread.rows
        rows = max(128, _power_of_two(stride - first * spread.rows))
        factor_one_panel[(batch,)](
            space.dense, space.reflectors, triangles, space.band, space.sizes, stride, start,
            ROWS=rows, TILE=spread.rows, WIDTH=WIDTH, TINY=space.tiny,
            num_warps=min(16, rows // 32), num_stages=1, maxnreg=128,
        )  # fmt: skip
        if start + WIDTH < stride:
            pass_over_blocks[(blocks - first, batch)](
                space.dense, space.reflectors, space.updates, products, inner, space.sizes, stride, start,
                ROWS=spread.rows, COLUMNS=spread.columns, WIDTH=WIDTH,
                num_warps=spread.warps, num_stages=1, maxnreg=spread.registers,
            )  # fmt: skip
            update_next_panel[(blocks - first, batch)](
                space.dense, space.reflectors, space.updates, products, inner, triangles, space.sizes, stride, start,
                ROWS=spread.rows, WIDTH=WIDTH, num_warps=4, num_stages=1,
            )  # fmt: skip


def chase_all_bulges(space: Workspace, launch: Launch) -> None:
    """Reduces bands to tridiagonal matrices with the same eigenvalues."""
    from rankscope.metrics.kernels.bulge_chasing import chase_bulges

    slots = max(2, _power_of_two(math.ceil(space.stride / (2 * WIDTH))))
    group = min(slots, launch.chase_group or slots)
    chase_bulges[(len(space.sizes),)](
        space.band, space.tridiagonal, space.reflectors, space.updates, space.sizes, space.stride,
        SLOTS=slots, GROUP=group, WIDTH=WIDTH, CHUNK=launch.tile, TINY=space.tiny,
        num_warps=max(1, min(launch.chase_warps, group // 2)), num_stages=1, maxnreg=launch.chase_registers,
    )  # fmt: skip


def bisect_all(space: Workspace, values: Float[Tensor, "batch n"], launch: Launch) -> None:
    """Fills in the eigenvalues of the tridiagonal matrices."""
    from rankscope.metrics.kernels.bisection import bisect

    n = values.shape[1]
    bisect[(len(space.sizes), math.ceil(n / launch.bisection_block))](
        space.tridiagonal, values, space.sizes, space.scales, space.stride, n,
        54 if values.dtype == torch.float64 else 30,
        BLOCK=launch.bisection_block, CHUNK=launch.tile, num_warps=1, num_stages=1,
    )  # fmt: skip


def _power_of_two(at_least: int) -> int:
    return 1 << (at_least - 1).bit_length()
