"""All eigenvalues of tridiagonal matrices by bisection, one thread for several eigenvalues.

The eigenvalues below x are as many as the sign changes among the leading principal minors of T - x, which follow one
another by p_i = (d_i - x) p_{i-1} - e_i^2 p_{i-2}. Without a division a step costs three operations. The minors are
scaled by a power of two every eight steps; squares e^2 are kept above 2^-120, so that a minor
and its neighbour cannot both vanish in between. Computed signs are those of a matrix whose entries are off by a few
roundings; eigenvalues are thus right to a few eps of the largest, as with any decomposition.

Source: Barth, Martin and Wilkinson, Numer. Math. 9 (1967), where the minors' ratios are used instead.
"""

from __future__ import annotations

from typing import no_type_check

import triton
import triton.language as tl

ZERO = tl.constexpr(2.0**-58)  # with trace 1, less is rounding: n eps times the largest eigenvalue is more than 2^-53


@no_type_check
@triton.jit
def bisect(
    tridiagonal_ptr, values_ptr, sizes_ptr, scales_ptr, stride, columns, halvings,
    BLOCK: tl.constexpr, CHUNK: tl.constexpr,
):  # fmt: skip
    """A block of eigenvalues of one matrix, descending; those that are rounding of zero, or below, are 0.

    Args:
        tridiagonal_ptr: (batch, 2, stride) in float64, of trace 1, as `chase_bulges` leaves it.
        values_ptr: (batch, columns), zeros.
        sizes_ptr: each matrix's own size.
        scales_ptr: what each matrix's eigenvalues are multiplied with.
        stride: a multiple of CHUNK and of 8.
        columns: eigenvalues a matrix in values_ptr.
        halvings: of the interval from 0 to the largest row sum.
        BLOCK: eigenvalues a program.
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
            fault += row_sum * 0.0  # NaN where anything is
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
    """How many eigenvalues lie below each x."""
    minor = x * 0.0 + 1.0
    before = x * 0.0
    signs = minor.to(tl.int64, bitcast=True)
    count = tl.zeros(x.shape, dtype=tl.int32)
    for start in range(0, n, 8):
        for step in tl.static_range(8):
            shifted = tl.load(diagonal + start + step) - x
            # Left to itself, the compiler may round this in one way for the next step and in another for the one after.
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
