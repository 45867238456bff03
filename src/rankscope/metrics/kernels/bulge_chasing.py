"""Reduces symmetric band matrices to tridiagonal ones with the same eigenvalues, one Triton program per matrix.

Sweep s clears column s below the subdiagonal with a Householder reflector and chases the resulting bulge down the
band, one block of `WIDTH` rows per step. Step k of sweep s only touches elements that sweep s - 1 has left behind at
its step k + 2, and none that another sweep touches at the same time. So at time t, all sweeps s whose step t - 2 s is
still inside the matrix run at once, each in its own slot.

Source: Lang, A parallel algorithm for reducing symmetric banded matrices to tridiagonal form, SIAM J. Sci. Comput. 14
(1993); the pipeline of sweeps: Haidar, Ltaief and Dongarra, SC 2011.
"""

from __future__ import annotations

from typing import no_type_check

import triton
import triton.language as tl

LEAST_SQUARE = tl.constexpr(2.0**-120)


@no_type_check
@triton.jit
def chase_bulges(
    band_ptr, tridiagonal_ptr, reflectors_ptr, taus_ptr, sizes_ptr, stride,
    SLOTS: tl.constexpr, GROUP: tl.constexpr, WIDTH: tl.constexpr, CHUNK: tl.constexpr, TINY: tl.constexpr,
):  # fmt: skip
    """Computes the tridiagonal matrix of one band, and overwrites the band.

    Args:
        band_ptr: (batch, stride, 2 WIDTH), as written by `reduce_to_band`.
        tridiagonal_ptr: (batch, 2, stride): the diagonal, with 4 beyond the matrix's own size; and the square of the
            element left of the diagonal in each row, at least 2^-120.
        reflectors_ptr: working memory, SLOTS x WIDTH elements per matrix, every 2 stride WIDTH elements.
        taus_ptr: same size as reflectors_ptr.
        sizes_ptr: each matrix's own size.
        stride: a multiple of CHUNK.
        SLOTS: number of sweeps in progress, a power of two, at least (stride - 1) / (2 WIDTH).
        GROUP: number of sweeps held in registers at a time; divides SLOTS. If it is smaller than SLOTS, the last
            reflector of each sweep is kept in memory in between.
        WIDTH: subdiagonals.
        CHUNK: elements written at once.
        TINY: squared lengths up to this count as zero.
    """
    matrix = tl.program_id(0).to(tl.int64)
    n = tl.load(sizes_ptr + matrix)
    band = band_ptr + matrix * stride * 2 * WIDTH
    if GROUP == SLOTS:
        slot = tl.arange(0, SLOTS)
        reflector = tl.zeros((SLOTS, WIDTH), dtype=band_ptr.dtype.element_ty)
        tau = tl.zeros((SLOTS,), dtype=band_ptr.dtype.element_ty)
        for time in range(2 * n - 5):
            newest = tl.minimum(time // 2, n - 3)
            sweep = newest - ((newest + SLOTS - slot) & (SLOTS - 1))
            step = time - 2 * sweep
            top = tl.where(sweep >= 0, sweep + 1 + step * WIDTH, n)  # n: not begun, so nothing is inside
            reflector, tau = _clear_column(band, reflector, tau, step, top, n, WIDTH, TINY)
            _turn_diagonal_block(band, reflector, tau, top, n, WIDTH)
            tl.debug_barrier()
    else:
        reflectors = reflectors_ptr + matrix * 2 * stride * WIDTH
        taus = taus_ptr + matrix * 2 * stride * WIDTH
        for time in range(2 * n - 5):
            newest = tl.minimum(time // 2, n - 3)
            past = time * WIDTH + 1 - n  # sweep s is finished if (2 WIDTH - 1) s is at most this
            oldest = tl.where(past < 0, 0, past // (2 * WIDTH - 1) + 1)
            for first in range(oldest, newest + 1, GROUP):
                sweep = first + tl.arange(0, GROUP)
                step = time - 2 * sweep
                top = tl.where(sweep <= newest, sweep + 1 + step * WIDTH, n)
                slot = sweep & (SLOTS - 1)
                place = reflectors + slot[:, None] * WIDTH + tl.arange(0, WIDTH)[None, :]
                begun = (sweep <= newest) & (step > 0)
                reflector = tl.load(place, mask=begun[:, None], other=0.0)
                tau = tl.load(taus + slot, mask=begun, other=0.0)
                reflector, tau = _clear_column(band, reflector, tau, step, top, n, WIDTH, TINY)
                _turn_diagonal_block(band, reflector, tau, top, n, WIDTH)
                tl.store(place, reflector, mask=(sweep <= newest)[:, None])
                tl.store(taus + slot, tau, mask=sweep <= newest)
            tl.debug_barrier()
    _keep_tridiagonal(band, tridiagonal_ptr + matrix * 2 * stride, stride, n, WIDTH, CHUNK)


@no_type_check
@triton.jit
def _keep_tridiagonal(band, tridiagonal, stride, n, WIDTH: tl.constexpr, CHUNK: tl.constexpr):
    for start in range(0, stride, CHUNK):
        index = start + tl.arange(0, CHUNK)
        diagonal = tl.load(band + index * 2 * WIDTH, mask=index < n, other=4.0)
        before = tl.load(band + (index - 1) * 2 * WIDTH + 1, mask=(index > 0) & (index < n), other=0.0)
        tl.store(tridiagonal + index, diagonal.to(tl.float64))
        square = before.to(tl.float64) * before.to(tl.float64)
        square = tl.where(square < LEAST_SQUARE, LEAST_SQUARE, square)  # NaN is kept
        tl.store(tridiagonal + stride + index, square)


@no_type_check
@triton.jit
def _clear_column(band, reflector, tau, step, top, n, WIDTH: tl.constexpr, TINY: tl.constexpr):
    """Multiplies each slot's block left of the diagonal by the last reflector from the right, the next from the left.

    Axes: slots, columns, rows. Threads are spread over slots and rows, so that each holds whole rows.

    Returns:
        The next reflector of each slot, (slots, WIDTH), and its factor tau.
    """
    column = tl.arange(0, WIDTH)[None, :, None]
    row = tl.arange(0, WIDTH)[None, None, :]
    first = (tl.arange(0, WIDTH) == 0)[None, :]
    begins = (step == 0)[:, None, None]  # the column to clear is then the block's last, and there is no reflector yet
    inside = (top[:, None, None] + row < n) & ((column == WIDTH - 1) | (step > 0)[:, None, None])
    place = (top[:, None, None] - WIDTH + column) * (2 * WIDTH - 1) + top[:, None, None] + row
    block = tl.load(band + place, mask=inside, other=0.0)
    across = reflector[:, :, None]
    weight = tl.where(step == 0, 0.0, tau)[:, None]
    block -= (weight * tl.sum(block * across, axis=1))[:, None, :] * across
    pivot = column == tl.where(begins, WIDTH - 1, 0)
    x = tl.sum(tl.where(pivot, block, 0.0), axis=1)
    alpha = tl.sum(tl.where(first, x, 0.0), axis=1)
    square = tl.sum(x * x, axis=1)
    live = square > TINY
    root = tl.sqrt(tl.where(live, square, 1.0))
    beta = tl.where(alpha > 0, -root, root)
    tau = tl.where(live, (beta - alpha) / beta, 0.0)
    over = tl.where(live, 1.0 / (alpha - beta), 0.0)
    reflector = tl.where(first, 1.0, x * over[:, None])
    projections = tl.sum(block * reflector[:, None, :], axis=2) * tau[:, None]
    block -= projections[:, :, None] * reflector[:, None, :]
    cleared = tl.where(first, tl.where(live, beta, alpha)[:, None], 0.0)
    tl.store(band + place, tl.where(pivot, cleared[:, None, :], block), mask=inside)
    return reflector, tau


@no_type_check
@triton.jit
def _turn_diagonal_block(band, reflector, tau, top, n, WIDTH: tl.constexpr):
    """Applies the reflector from both sides to the lower half of each slot's block on the diagonal."""
    column = tl.arange(0, WIDTH)[None, :, None]
    row = tl.arange(0, WIDTH)[None, None, :]
    inside = (top[:, None, None] + row < n) & (row >= column)
    place = (top[:, None, None] + column) * (2 * WIDTH - 1) + top[:, None, None] + row
    block = tl.load(band + place, mask=inside, other=0.0)
    across = reflector[:, :, None]
    update = tl.sum(block * across, axis=1)
    update += tl.sum(tl.where(row > column, block, 0.0) * reflector[:, None, :], axis=2)
    update *= tau[:, None]
    update -= reflector * (0.5 * tau * tl.sum(update * reflector, axis=1))[:, None]
    block -= across * update[:, None, :] + update[:, :, None] * reflector[:, None, :]
    tl.store(band + place, block, mask=inside)
