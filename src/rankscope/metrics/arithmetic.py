"""Chooses the precision of a spectrum from the data.

Eigenvalues in float32 each have an error of about eps lambda_max. To first order, the entropy's error is the sum of
(ln lambda + H) times the error of lambda, so about eps lambda_max sqrt(sum (ln lambda + H)^2) for independent errors,
such as rounding errors. This is small if the spectrum is flat, and large if one direction dominates it: massive
activations, near-equal rows, low rank. Eigenvalues near eps lambda_max are themselves rounding errors.

So float32 is used if the spectrum is nearly flat, and kept only if its own eigenvalues show that twice this estimate is
at most 5e-7; otherwise the Gram matrix and its eigenvalues are computed in float64, from unit rows that float32 holds
with an error of 5e-8 in effective rank. Either way the effective rank is within 1e-6 of a float64 oracle.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float
from torch import Tensor

from rankscope.errors import SettingsError

FLAT = 9.0
"""A spectrum counts as flat if the participation ratio is at least this share of the number of eigenvalues."""

_SAMPLE = 16
_ERROR_AT_MOST = 5e-7
_ROUNDINGS_AT_LEAST = 64
_NUMBERS_AT_LEAST = 1 << 15


def arithmetic_for(hidden: Tensor, dtype: torch.dtype | None) -> torch.dtype:
    """The requested precision; by default float64 if the device has it.

    Raises:
        SettingsError: a precision other than float32 and float64.
    """
    if dtype is None:
        return torch.float32 if hidden.device.type == "mps" else torch.float64
    if dtype not in (torch.float32, torch.float64):
        raise SettingsError(f"spectra are computed in torch.float32 or torch.float64, got dtype={dtype}")
    return dtype


def float32_may_do(states: Float[Tensor, "*batch tokens hidden"]) -> bool:
    """Whether float32 is worth trying, before any value is inspected.

    Only on a CPU, where checking the result is free; not for float64, for gradients, or for small matrices, where it
    saves nothing; and not if the caller allows reduced precision in float32 products.
    """
    return (
        states.device.type == "cpu"
        and states.dtype != torch.float64
        and not (states.requires_grad and torch.is_grad_enabled())
        and states.shape[-2] * states.shape[-1] >= _NUMBERS_AT_LEAST
        and products_are_exact("cpu")
    )


def products_are_exact(device: str) -> bool:
    """Whether float32 matrix products are computed in float32: no TF32, no bfloat16, no autocast."""
    if torch.is_autocast_enabled(device):
        return False
    try:
        return torch.get_float32_matmul_precision() == "highest"
    except RuntimeError:
        return False  # the caller set the precision of each backend separately, which torch cannot report as one value


def is_flat(rows: Float[Tensor, "tokens hidden"]) -> bool:
    """Whether the spectrum of unit rows is nearly flat: sum lambda^2 from a sample of rows of the Gram matrix."""
    tokens, hidden_size = rows.shape
    sample = rows[:: max(1, tokens // _SAMPLE)]
    length = float(torch.linalg.matrix_norm(sample @ rows.T).numpy())
    return length**2 / len(sample) / tokens * min(tokens, hidden_size) <= FLAT


def float32_did(eigenvalues: npt.NDArray[np.float64], rank: int) -> bool:
    """Whether float32 eigenvalues give the effective rank within 1e-6.

    Args:
        eigenvalues: (k,), descending, of sum 1.
        rank: maximum number of non-zero eigenvalues.
    """
    values = eigenvalues[:rank]
    rounding = np.finfo(np.float32).eps * values[0]
    if not values[-1] >= _ROUNDINGS_AT_LEAST * rounding:
        return False
    logarithms = np.log(values)
    spread = np.sqrt(np.square(logarithms - values @ logarithms).sum())
    return bool(2 * rounding * spread <= _ERROR_AT_MOST)
