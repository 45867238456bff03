"""Reduces dense symmetric matrices to band matrices with the same eigenvalues, one Triton program per matrix.

Blocked Householder reduction: `WIDTH` columns at a time are made upper triangular below the band by a QR decomposition
with Q = I - V T V^T, and A becomes Q^T A Q = A - V W^T - W V^T with X = A V T and W = X - V (T^T V^T X) / 2.
The update by one panel and the product with the next panel's V share one pass over A, so A is read and
written n / WIDTH times instead of n times.

Source: Bischof, Lang and Sun, A framework for symmetric band reduction, ACM TOMS 26 (2000), section 4;
compact WY form: Schreiber and Van Loan, SIAM J. Sci. Stat. Comput. 10 (1989).
"""

from __future__ import annotations

from typing import no_type_check

import triton
import triton.language as tl


@no_type_check
@triton.jit
def reduce_to_band(
    work_ptr, reflectors_ptr, updates_ptr, band_ptr, sizes_ptr, stride,
    ROWS: tl.constexpr, TILE: tl.constexpr, WIDTH: tl.constexpr, TINY: tl.constexpr,
):  # fmt: skip
    """Computes the band of one matrix, and overwrites the matrix.

    Args:
        work_ptr: the matrices, (batch, stride, stride), both triangles, with zeros beyond each matrix's own size.
        reflectors_ptr: V of the current and the previous panel, (batch, 2, stride, WIDTH), initially zeros.
        updates_ptr: W of the current and the previous panel, same shape as reflectors_ptr, initially zeros.
        band_ptr: (batch, stride, 2 WIDTH), initially zeros; element (i, j) of the lower triangle goes to row j,
            column i - j.
        sizes_ptr: each matrix's own size.
        stride: a multiple of TILE.
        ROWS: a power of two, at least stride.
        TILE: rows and columns of the tiles of a pass.
        WIDTH: columns of a panel.
        TINY: squared lengths up to this count as zero.
    """
    matrix = tl.program_id(0).to(tl.int64)
    n = tl.load(sizes_ptr + matrix)
    work = work_ptr + matrix * stride * stride
    reflectors = reflectors_ptr + matrix * 2 * stride * WIDTH
    updates = updates_ptr + matrix * 2 * stride * WIDTH
    band = band_ptr + matrix * stride * 2 * WIDTH
    turn = 0
    for start in range(0, n, WIDTH):
        this, last = turn * stride * WIDTH, (1 - turn) * stride * WIDTH
        _update_panel(work, reflectors + last, updates + last, stride, start, n, TILE, WIDTH)
        tl.debug_barrier()
        keep_diagonal_block(work, band, stride, start, n, WIDTH)
        below = start + WIDTH
        if below < n:
            left = n - below // TILE * TILE
            if left <= ROWS // 4:
                triangle = factor_panel(work, reflectors + this, band, stride, start, n, ROWS // 4, TILE, WIDTH, TINY)
            elif left <= ROWS // 2:
                triangle = factor_panel(work, reflectors + this, band, stride, start, n, ROWS // 2, TILE, WIDTH, TINY)
            else:
                triangle = factor_panel(work, reflectors + this, band, stride, start, n, ROWS, TILE, WIDTH, TINY)
            tl.debug_barrier()
            _pass_over(
                work, reflectors + last, updates + last, reflectors + this, updates + this, triangle, stride, below, n,
                TILE, WIDTH,
            )  # fmt: skip
            tl.debug_barrier()
        turn = 1 - turn


@no_type_check
@triton.jit
def _update_panel(work, reflectors, updates, stride, start, n, TILE: tl.constexpr, WIDTH: tl.constexpr):
    """Applies the previous panel's V and W to the panel's columns."""
    column = tl.arange(0, WIDTH)[None, :]
    head = (start + tl.arange(0, WIDTH))[:, None] * WIDTH + column
    reflectors_head = tl.trans(tl.load(reflectors + head))
    updates_head = tl.trans(tl.load(updates + head))
    for first in range(start // TILE * TILE, n, TILE):
        row = (first + tl.arange(0, TILE))[:, None]
        place = work + row * stride + start + column
        panel = tl.load(place)
        panel -= tl.dot(tl.load(reflectors + row * WIDTH + column), updates_head, input_precision="ieee")
        panel -= tl.dot(tl.load(updates + row * WIDTH + column), reflectors_head, input_precision="ieee")
        tl.store(place, panel)


@no_type_check
@triton.jit
def keep_diagonal_block(work, band, stride, start, n, WIDTH: tl.constexpr):
    """Copies the lower half of the panel's block on the diagonal to the band."""
    row = (start + tl.arange(0, WIDTH))[:, None]
    column = (start + tl.arange(0, WIDTH))[None, :]
    block = tl.load(work + row * stride + column)
    tl.store(band + column * (2 * WIDTH - 1) + row, block, mask=(row >= column) & (row < n))


@no_type_check
@triton.jit
def factor_panel(
    work, reflectors, band, stride, start, n,
    ROWS: tl.constexpr, TILE: tl.constexpr, WIDTH: tl.constexpr, TINY: tl.constexpr,
):  # fmt: skip
    """QR decomposition of the panel below the band: writes R to the band and V to memory; returns T.

    Each column needs a single reduction: its inner products with all columns of the panel. One of them is its own
    squared length; the others give the reflector's inner products with the later columns, which are updated with them,
    and with the earlier reflectors, which T needs.
    """
    below = start + WIDTH
    row = below // TILE * TILE + tl.arange(0, ROWS)
    column = tl.arange(0, WIDTH)
    inside = (row >= below) & (row < n)
    panel = tl.load(work + row[:, None] * stride + start + column[None, :], mask=inside[:, None], other=0.0)
    triangle = tl.zeros((WIDTH, WIDTH), dtype=panel.dtype)
    for step in range(WIDTH):
        pivot = below + step
        here = (column == step)[None, :]
        x = tl.sum(tl.where(here, panel, 0.0), axis=1)
        head = tl.sum(tl.where((row == pivot)[:, None], panel, 0.0), axis=0)
        products = tl.sum(tl.where(row >= pivot, x, 0.0)[:, None] * panel, axis=0)
        alpha = tl.sum(tl.where(column == step, head, 0.0), axis=0)
        square = tl.sum(tl.where(column == step, products, 0.0), axis=0)
        live = square > TINY
        root = tl.sqrt(tl.where(live, square, 1.0))
        beta = tl.where(alpha > 0, -root, root)
        tau = tl.where(live, (beta - alpha) / beta, 0.0)
        over = tl.where(live, 1.0 / (alpha - beta), 0.0)
        reflector = tl.where(row > pivot, x * over, tl.where((row == pivot) & (row < n), 1.0, 0.0))
        projections = (products - beta * head) * over
        later = tl.where(column > step, projections, 0.0) * tau
        panel -= reflector[:, None] * later[None, :]
        kept = tl.where(row > pivot, reflector, tl.where(row == pivot, tl.where(live, beta, alpha), x))
        panel = tl.where(here, kept[:, None], panel)
        earlier = tl.where(column < step, projections, 0.0)
        new = tl.where(column == step, tau, -tau * tl.sum(triangle * earlier[None, :], axis=1))
        triangle = tl.where(here, new[:, None], triangle)
    depth = row[:, None] - below - column[None, :]
    place = band + (start + column)[None, :] * (2 * WIDTH - 1) + row[:, None]
    tl.store(place, panel, mask=inside[:, None] & (depth <= 0))
    panel = tl.where(depth > 0, panel, tl.where((depth == 0) & inside[:, None], 1.0, 0.0))
    tl.store(reflectors + row[:, None] * WIDTH + column[None, :], panel, mask=(row < stride)[:, None])
    return triangle


@no_type_check
@triton.jit
def _pass_over(
    work, last_reflectors, last_updates, reflectors, updates, triangle, stride, below, n,
    TILE: tl.constexpr, WIDTH: tl.constexpr,
):  # fmt: skip
    """Applies the previous panel's V and W to the trailing matrix, multiplies it by this panel's V, and computes its W.

    Tiles are aligned, so they also change rows and columns before `below`; these are not read again, and V is zero
    there.
    """
    column = tl.arange(0, WIDTH)[None, :]
    lane = tl.arange(0, TILE)
    inner = tl.zeros((WIDTH, WIDTH), dtype=triangle.dtype)
    for first_row in range(below // TILE * TILE, n, TILE):
        row = (first_row + lane)[:, None]
        slab = row * WIDTH + column
        v = tl.load(last_reflectors + slab)
        w = tl.load(last_updates + slab)
        product = tl.zeros((TILE, WIDTH), dtype=triangle.dtype)
        for first_column in range(below // TILE * TILE, n, TILE):
            other = (first_column + lane)[:, None] * WIDTH + column
            place = work + row * stride + (first_column + lane)[None, :]
            tile = tl.load(place)
            tile -= tl.dot(v, tl.trans(tl.load(last_updates + other)), input_precision="ieee")
            tile -= tl.dot(w, tl.trans(tl.load(last_reflectors + other)), input_precision="ieee")
            tl.store(place, tile)
            product += tl.dot(tile, tl.load(reflectors + other), input_precision="ieee")
        x = tl.where(row >= below, tl.dot(product, triangle, input_precision="ieee"), 0.0)
        tl.store(updates + slab, x)
        inner += tl.dot(tl.trans(tl.load(reflectors + slab)), x, input_precision="ieee")
    tl.debug_barrier()
    correction = tl.dot(tl.trans(triangle), inner, input_precision="ieee") * 0.5
    for first_row in range(below // TILE * TILE, n, TILE):
        slab = (first_row + lane)[:, None] * WIDTH + column
        w = tl.load(updates + slab)
        w -= tl.dot(tl.load(reflectors + slab), correction, input_precision="ieee")
        tl.store(updates + slab, w)
