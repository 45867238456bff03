"""Gram matrices and their eigenvalues: many small symmetric matrices, decomposed side by side."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from rankscope.metrics.device_eigenvalues import can_decompose, eigenvalues_on_device

_BLOCKS = 4
_WORTH_BLOCKS = 192


def smaller_gram(rows: Float[Tensor, "*batch rows features"]) -> Float[Tensor, "*batch k k"]:
    """X X^T or X^T X, whichever is smaller: they share all eigenvalues that are not zero."""
    return rows @ rows.mT if rows.shape[-2] <= rows.shape[-1] else rows.mT @ rows


def lower_gram(rows: Float[Tensor, "rows features"]) -> Float[Tensor, "k k"]:
    """The lower triangle of `smaller_gram`, which is all that a decomposition reads; without gradients.

    Computed in rows of blocks, so that little more than half of the products are computed.
    """
    short = rows if rows.shape[0] <= rows.shape[1] else rows.T
    k = len(short)
    if k < _WORTH_BLOCKS:
        return short @ short.T
    gram = short.new_zeros(k, k)
    step = -(-k // _BLOCKS)
    for start in range(0, k, step):
        end = min(start + step, k)
        torch.mm(short[start:end], short[:end].T, out=gram[start:end, :end])
    return gram


def descending_eigenvalues(gram: Float[Tensor, "*batch k k"]) -> Float[Tensor, "*batch k"]:
    """The eigenvalues of positive semidefinite matrices, none below 0; the lower triangle is read."""
    # MPS has neither float64 nor this decomposition; Gram matrices are small, so the CPU takes them.
    values = torch.linalg.eigvalsh(gram.cpu().double() if gram.device.type == "mps" else gram)
    descending: Tensor = values.to(gram.device, gram.dtype).flip(-1)
    return descending.clamp_min(0)


def eigenvalues_of_each(grams: Sequence[Float[Tensor, "_k _k"]]) -> list[Float[Tensor, " _k"]]:
    """The eigenvalues of matrices on the CPU, as `descending_eigenvalues`, in as many threads as torch has.

    LAPACK gains nothing from a second thread within a matrix of up to about 500 rows, so each thread takes a matrix.
    """
    threads = torch.get_num_threads()
    if min(threads, len(grams)) < 2:
        return [descending_eigenvalues(gram) for gram in grams]
    # The largest first, so that no thread begins it when the others are done.
    order = sorted(range(len(grams)), key=lambda place: -len(grams[place]))
    try:
        # LAPACK would otherwise divide each matrix, too, and twice as many threads would get in each other's way.
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            found = list(pool.map(descending_eigenvalues, [grams[place] for place in order]))
    finally:
        torch.set_num_threads(threads)  # what a thread sets holds in part for the whole process
    return [values for _, values in sorted(zip(order, found, strict=True), key=lambda pair: pair[0])]


def eigenvalues_of_batch(
    grams: Float[Tensor, "batch k k"], sizes: Int[Tensor, " batch"]
) -> tuple[Float[Tensor, "batch k"], Bool[Tensor, " batch"]]:
    """The eigenvalues of matrices on an accelerator, padded with zeros, and whether each passed a check.

    Sums of eigenvalues and of their squares are those of the matrix's trace and Frobenius norm: vendors' batched
    decompositions have been wrong without saying so. Nothing is read from the device.

    Args:
        grams: positive semidefinite, each in its first rows and columns.
        sizes: rows of each, on the same device.
    """
    if can_decompose(grams.device, grams.shape[1], grams.dtype):
        values = eigenvalues_on_device(grams, sizes)
    else:
        values = descending_eigenvalues(torch.nan_to_num(grams))  # NaN of one matrix would stop all others
    return values, are_of(grams, values)


def are_of(grams: Float[Tensor, "batch k k"], values: Float[Tensor, "batch k"]) -> Bool[Tensor, " batch"]:
    """Whether eigenvalues have the sum and the sum of squares of their matrices."""
    allowed = grams.shape[1] * torch.finfo(grams.dtype).eps
    trace, squares = grams.diagonal(dim1=1, dim2=2).sum(dim=1), grams.square().sum(dim=(1, 2))
    same_trace = (values.sum(dim=1) - trace).abs() <= allowed * trace
    same_squares = (values.square().sum(dim=1) - squares).abs() <= allowed * trace.square()
    return same_trace & same_squares
