"""Computes all eigenvalues of tridiagonal matrices by bisection; each thread handles several eigenvalues.

The number of eigenvalues below x is the number of sign changes among the leading principal minors of T - x, which
follow the recurrence p_i = (d_i - x) p_{i-1} - e_i^2 p_{i-2}: three operations per step and no division. The minors
are scaled by a power of two every eight steps, and squares e^2 are kept above 2^-120, so that a minor and its
neighbour cannot both vanish in between. The computed signs are those of a matrix whose entries are off by a few
rounding errors, so eigenvalues are accurate to a few eps of the largest, as in any decomposition.

Source: Barth, Martin and Wilkinson, Numer. Math. 9 (1967), who use the ratios of minors instead.
"""

from __future__ import annotations

from typing import no_type_check

import triton
import triton.language as tl

ZERO = tl.constexpr(2.0**-58)  # smaller values are rounding errors: at trace 1, n eps times the largest is above 2^-53


@no_type_check
@triton.jit
def bisect(
    tridiagonal_ptr, values_ptr, sizes_ptr, scales_ptr, stride, columns, halvings,
    BLOCK: tl.constexpr, CHUNK: tl.constexpr,
):  # fmt: skip
    """Computes a block of eigenvalues of one matrix, in descending order; rounding errors of zero become 0.

    Args:
        tridiagonal_ptr: (batch, 2, stride) in float64, of trace 1, as written by `chase_bulges`.
        values_ptr: (batch, columns), initially zeros.
        sizes_ptr: each matrix's own size.
        scales_ptr: the factor by which each matrix's eigenvalues are multiplied.
        stride: a multiple of CHUNK and of 8.
        columns: eigenvalues per matrix in values_ptr.
        halvings: how often the interval from 0 to the largest row sum is halved.
        BLOCK: eigenvalues per program.
        CHUNK: elements read at once for the row sums.
    """
    matrix = tl.program_id(0).to(tl.int64)
    n = tl.load(sizes_ptr + matrix)
    diagonal = tridiagonal_ptr + matrix * 2 * stride
    squares = diagonal + stride
    place = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    if tl.program_id(1) * BLOCK < n:
        bound = tl.zeros((CHUNK,), dtype=tl.float64)
        fault = tl.zeros((CHUNK,), dtype=tl.float64)
        for start in range(0, n, CHUNK):
            index = start + tl.arange(0, CHUNK)
            after = tl.load(squares + index + 1, mask=index < n - 1, other=0.0)
            before = tl.load(squares + index, mask=(index > 0) & (index < n), other=0.0)
            row_sum = tl.load(diagonal + index, mask=index < n, other=0.0) + tl.sqrt(after) + tl.sqrt(before)
            bound = tl.maximum(bound, row_sum)
            fault += row_sum * 0.0  # NaN if any element is
        low = tl.zeros((BLOCK,), dtype=tl.float64)
        high = low + tl.max(bound, axis=0) * (1 + 1e-15)
        for _ in range(halvings):
            middle = 0.5 * (low + high)
            above = n - _count_below(diagonal, squares, middle, n) > place
            low = tl.where(above, middle, low)
            high = tl.where(above, high, middle)
        value = tl.where(low > ZERO, 0.5 * (low + high), 0.0) * tl.load(scales_ptr + matrix)
        value += tl.sum(fault, axis=0)
        tl.store(values_ptr + matrix * columns + place, value.to(values_ptr.dtype.element_ty), mask=place < n)


@no_type_check
@triton.jit
def _count_below(diagonal, squares, x, n):
    """The number of eigenvalues below each x."""
    minor = x * 0.0 + 1.0
    before = x * 0.0
    signs = minor.to(tl.int64, bitcast=True)
    count = tl.zeros(x.shape, dtype=tl.int32)
    for start in range(0, n, 8):
        for step in tl.static_range(8):
            shifted = tl.load(diagonal + start + step) - x
            # An explicit fma: otherwise the compiler may round the value differently in its two uses.
            following = tl.fma(shifted, minor, -tl.load(squares + start + step) * before)
            before = minor
            minor = following
            new_signs = minor.to(tl.int64, bitcast=True)
            count -= ((new_signs ^ signs) >> 63).to(tl.int32)  # -1 where the sign bits differ
            signs = new_signs
        size = tl.maximum(tl.abs(minor), tl.abs(before))
        exponent = size.to(tl.int64, bitcast=True) & 0x7FF0000000000000
        scale = (0x7FE0000000000000 - exponent).to(tl.float64, bitcast=True)
        minor *= scale
        before *= scale
        signs = minor.to(tl.int64, bitcast=True)
    return count
