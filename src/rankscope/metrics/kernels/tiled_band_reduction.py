"""The reduction of `band_reduction` for large matrices, each spread over the device.

Each panel takes three kernels. The first computes its QR decomposition, with one program per matrix. The second passes
over the trailing matrix, with one program per block of rows: it applies the previous panel's V and W and multiplies by
the new V. The third computes W and the next panel's columns, also with one program per block of rows. Only the blocks
on and below the diagonal of the trailing matrix are kept up to date; the products of the transposes of those below go
to memory, and the third kernel adds them in a fixed order.
"""

from __future__ import annotations

from typing import no_type_check

import triton
import triton.language as tl

from rankscope.metrics.kernels.band_reduction import factor_panel, keep_diagonal_block


@no_type_check
@triton.jit
def factor_one_panel(
    work_ptr, reflectors_ptr, triangles_ptr, band_ptr, sizes_ptr, stride, start,
    ROWS: tl.constexpr, TILE: tl.constexpr, WIDTH: tl.constexpr, TINY: tl.constexpr,
):  # fmt: skip
    """Stores the panel's part of the band, and V and T of its QR decomposition.

    Args:
        work_ptr: the matrices, (batch, stride, stride), with zeros beyond each matrix's own size.
        reflectors_ptr: V of even and odd panels, (batch, 2, stride, WIDTH), initially zeros.
        triangles_ptr: T of this panel, (batch, WIDTH, WIDTH).
        band_ptr: (batch, stride, 2 WIDTH), initially zeros; element (i, j) of the lower triangle goes to row j,
            column i - j.
        sizes_ptr: each matrix's own size.
        stride: a multiple of TILE.
        start: the panel's first column.
        ROWS: a power of two, at least the number of rows from the first one of the tile that holds row start + WIDTH.
        TILE: rows of a block in the other kernels.
        WIDTH: columns of a panel.
        TINY: squared lengths up to this count as zero.
    """
    matrix = tl.program_id(0).to(tl.int64)
    n = tl.load(sizes_ptr + matrix)
    work = work_ptr + matrix * stride * stride
    band = band_ptr + matrix * stride * 2 * WIDTH
    reflectors = reflectors_ptr + (matrix * 2 + start // WIDTH % 2) * stride * WIDTH
    if start < n:
        keep_diagonal_block(work, band, stride, start, n, WIDTH)
    if start + WIDTH < n:
        triangle = factor_panel(work, reflectors, band, stride, start, n, ROWS, TILE, WIDTH, TINY)
        index = tl.arange(0, WIDTH)
        tl.store(triangles_ptr + (matrix * WIDTH + index[:, None]) * WIDTH + index[None, :], triangle)


@no_type_check
@triton.jit
def pass_over_blocks(
    work_ptr, reflectors_ptr, updates_ptr, products_ptr, inner_ptr, sizes_ptr, stride, start,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr, WIDTH: tl.constexpr,
):  # fmt: skip
    """Brings one block of rows up to date, and multiplies it and its transpose by this panel's V.

    Args:
        work_ptr: as above.
        reflectors_ptr: as above.
        updates_ptr: W of even and odd panels, same shape as reflectors_ptr.
        products_ptr: (batch, stride / ROWS, stride, WIDTH); block k of rows writes its share of A V to [:, k].
        inner_ptr: (batch, stride / ROWS, WIDTH, WIDTH); block k writes its share of V^T A V to [:, k]; the
            product itself is the symmetric part of their sum.
        sizes_ptr: as above.
        stride: a multiple of ROWS.
        start: as above.
        ROWS: rows of a block, a power of two, at least 32; 32 per warp works best.
        COLUMNS: columns of a tile; divides ROWS.
        WIDTH: as above.
    """
    matrix = tl.program_id(1).to(tl.int64)
    n = tl.load(sizes_ptr + matrix)
    below = start + WIDTH
    block = tl.cdiv(n, ROWS) - 1 - tl.program_id(0)  # the longest first
    first = below // ROWS * ROWS
    if (below < n) & (block * ROWS >= first):
        work = work_ptr + matrix * stride * stride
        turn = start // WIDTH % 2
        reflectors = reflectors_ptr + (matrix * 2 + turn) * stride * WIDTH
        last_v = reflectors_ptr + (matrix * 2 + 1 - turn) * stride * WIDTH
        last_w = updates_ptr + (matrix * 2 + 1 - turn) * stride * WIDTH
        place = matrix * (stride // ROWS) + block
        products = products_ptr + place * stride * WIDTH
        column = tl.arange(0, WIDTH)[None, :]
        upper = (block * ROWS + tl.arange(0, ROWS // 2))[:, None]
        lower = upper + ROWS // 2
        upper_product = tl.zeros((ROWS // 2, WIDTH), dtype=work_ptr.dtype.element_ty)
        lower_product = upper_product
        upper_inner = upper_product  # blocks left of the diagonal count twice, for their transposes
        lower_inner = upper_product
        for start_column in range(first, (block + 1) * ROWS, COLUMNS):
            lane = start_column + tl.arange(0, COLUMNS)
            slab = lane[:, None] * WIDTH + column
            v = -tl.load(last_v + slab)
            w = -tl.load(last_w + slab)
            new = tl.load(reflectors + slab)
            upper_here, across = _visit(work, reflectors, last_v, last_w, upper, lane, new, v, w, stride, WIDTH)
            lower_here, rest = _visit(work, reflectors, last_v, last_w, lower, lane, new, v, w, stride, WIDTH)
            weight = tl.where(start_column < block * ROWS, 2, 1)
            tl.store(products + slab, across + rest, mask=(lane < block * ROWS)[:, None])
            upper_product += upper_here
            lower_product += lower_here
            upper_inner += weight * upper_here
            lower_inner += weight * lower_here
        tl.store(products + upper * WIDTH + column, upper_product)
        tl.store(products + lower * WIDTH + column, lower_product)
        inner = tl.dot(tl.trans(tl.load(reflectors + upper * WIDTH + column)), upper_inner, input_precision="ieee")
        inner += tl.dot(tl.trans(tl.load(reflectors + lower * WIDTH + column)), lower_inner, input_precision="ieee")
        index = tl.arange(0, WIDTH)[:, None]
        tl.store(inner_ptr + (place * WIDTH + index) * WIDTH + column, inner)


@no_type_check
@triton.jit
def _visit(work, reflectors, last_v, last_w, row, lane, new, v, w, stride, WIDTH: tl.constexpr):
    """Adds the previous panel's V w^T + W v^T to a tile; returns its product and its transpose's with the new V."""
    slab = row * WIDTH + tl.arange(0, WIDTH)[None, :]
    place = work + row * stride + lane[None, :]
    tile = tl.load(place)
    tile = tl.dot(tl.load(last_v + slab), tl.trans(w), tile, input_precision="ieee", out_dtype=tile.dtype)
    tile = tl.dot(tl.load(last_w + slab), tl.trans(v), tile, input_precision="ieee", out_dtype=tile.dtype)
    tl.store(place, tile)
    product = tl.dot(tile, new, input_precision="ieee")
    return product, tl.dot(tl.trans(tile), tl.load(reflectors + slab), input_precision="ieee")


@no_type_check
@triton.jit
def update_next_panel(
    work_ptr, reflectors_ptr, updates_ptr, products_ptr, inner_ptr, triangles_ptr, sizes_ptr, stride, start,
    ROWS: tl.constexpr, WIDTH: tl.constexpr,
):  # fmt: skip
    """Computes one block's rows of W, and brings the same rows of the next panel up to date.

    Args: as above.
    """
    matrix = tl.program_id(1).to(tl.int64)
    n = tl.load(sizes_ptr + matrix)
    below = start + WIDTH
    block = below // ROWS + tl.program_id(0)
    if (below < n) & (block * ROWS < n):
        blocks = tl.cdiv(n, ROWS)
        turn = (matrix * 2 + start // WIDTH % 2) * stride * WIDTH
        products = products_ptr + matrix * (stride // ROWS) * stride * WIDTH
        index = tl.arange(0, WIDTH)[:, None]
        column = tl.arange(0, WIDTH)[None, :]
        square = index * WIDTH + column
        triangle = tl.load(triangles_ptr + matrix * WIDTH * WIDTH + square)
        inner = tl.zeros((WIDTH, WIDTH), dtype=triangle.dtype)
        for other in range(below // ROWS, blocks):
            inner += tl.load(inner_ptr + (matrix * (stride // ROWS) + other) * WIDTH * WIDTH + square)
        inner = 0.5 * (inner + tl.trans(inner))
        correction = tl.dot(tl.trans(triangle), tl.dot(inner, triangle, input_precision="ieee"), input_precision="ieee")
        correction *= 0.5

        row = (block * ROWS + tl.arange(0, ROWS))[:, None]
        v = tl.load(reflectors_ptr + turn + row * WIDTH + column)
        w = _updates_of(products, v, triangle, correction, row, block, blocks, stride, ROWS, WIDTH)
        w = tl.where(row >= below, w, 0.0)
        tl.store(updates_ptr + turn + row * WIDTH + column, w)

        head = below + index
        head_v = tl.load(reflectors_ptr + turn + head * WIDTH + column)
        head_w = _updates_of(products, head_v, triangle, correction, head, below // ROWS, blocks, stride, WIDTH, WIDTH)
        place = work_ptr + matrix * stride * stride + row * stride + below + column
        panel = tl.load(place)
        panel -= tl.dot(v, tl.trans(head_w), input_precision="ieee")
        panel -= tl.dot(w, tl.trans(head_v), input_precision="ieee")
        tl.store(place, panel)


@no_type_check
@triton.jit
def _updates_of(
    products, v, triangle, correction, row, block, blocks, stride, COUNT: tl.constexpr, WIDTH: tl.constexpr
):  # fmt: skip
    """W of some rows of a block: A V from the shares of this block and those below, times T, minus the correction."""
    column = tl.arange(0, WIDTH)[None, :]
    product = tl.zeros((COUNT, WIDTH), dtype=v.dtype)
    for other in range(block, blocks):
        product += tl.load(products + (other * stride + row) * WIDTH + column)
    w = tl.dot(product, triangle, input_precision="ieee")
    return w - tl.dot(v, correction, input_precision="ieee")
