"""Gram matrices and their eigenvalues: many small symmetric matrices, decomposed in parallel."""

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
    """X X^T or X^T X, whichever is smaller: their non-zero eigenvalues are the same."""
    return rows @ rows.mT if rows.shape[-2] <= rows.shape[-1] else rows.mT @ rows


def lower_gram(rows: Float[Tensor, "rows features"]) -> Float[Tensor, "k k"]:
    """The lower triangle of `smaller_gram`, which is all that a decomposition reads; without gradients.

    Computed in blocks of rows, so that little more than half of the products are needed.
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
    """The eigenvalues of positive semidefinite matrices, none below 0; only the lower triangle is read."""
    # MPS has neither float64 nor this decomposition; Gram matrices are small, so the CPU computes them.
    values = torch.linalg.eigvalsh(gram.cpu().double() if gram.device.type == "mps" else gram)
    descending: Tensor = values.to(gram.device, gram.dtype).flip(-1)
    return descending.clamp_min(0)


def eigenvalues_of_each(grams: Sequence[Float[Tensor, "_k _k"]]) -> list[Float[Tensor, " _k"]]:
    """The eigenvalues of matrices on the CPU, as `descending_eigenvalues`, in as many threads as torch uses.

    LAPACK gains nothing from a second thread in a matrix of up to about 500 rows, so each thread processes one matrix.
    """
    threads = torch.get_num_threads()
    if min(threads, len(grams)) < 2:
        return [descending_eigenvalues(gram) for gram in grams]
    # Largest first, so that no thread starts it when the others are done.
    order = sorted(range(len(grams)), key=lambda place: -len(grams[place]))
    try:
        # Otherwise LAPACK would also split each matrix over threads, which would compete with each other.
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            found = list(pool.map(descending_eigenvalues, [grams[place] for place in order]))
    finally:
        torch.set_num_threads(threads)  # the setting of a thread partly affects the whole process
    return [values for _, values in sorted(zip(order, found, strict=True), key=lambda pair: pair[0])]


def eigenvalues_of_batch(
    grams: Float[Tensor, "batch k k"], sizes: Int[Tensor, " batch"]
) -> tuple[Float[Tensor, "batch k"], Bool[Tensor, " batch"]]:
    """The eigenvalues of zero-padded matrices on an accelerator, and whether each passed a check.

    The check compares the sums of eigenvalues and of their squares with the matrix's trace and Frobenius norm: vendors'
    batched decompositions have silently returned wrong values. Nothing is read from the device.

    Args:
        grams: positive semidefinite, each in its first rows and columns.
        sizes: rows of each, on the same device.
    """
    if can_decompose(grams.device, grams.shape[1], grams.dtype):
        values = eigenvalues_on_device(grams, sizes)
    else:
        values = descending_eigenvalues(torch.nan_to_num(grams))  # NaN in one matrix would fail the whole batch
    return values, are_of(grams, values)


def are_of(grams: Float[Tensor, "batch k k"], values: Float[Tensor, "batch k"]) -> Bool[Tensor, " batch"]:
    """Whether eigenvalues have the trace and the squared Frobenius norm of their matrices."""
    allowed = grams.shape[1] * torch.finfo(grams.dtype).eps
    trace, squares = grams.diagonal(dim1=1, dim2=2).sum(dim=1), grams.square().sum(dim=(1, 2))
    same_trace = (values.sum(dim=1) - trace).abs() <= allowed * trace
    same_squares = (values.square().sum(dim=1) - squares).abs() <= allowed * trace.square()
    return same_trace & same_squares
