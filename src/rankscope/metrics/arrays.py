"""Input of the public metrics: tensors, NumPy arrays, nested lists and anything that converts to an array.

Input is converted and checked once, here, when the user calls a metric; the code below works on tensors.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from rankscope.errors import RepresentationError, first_line


@runtime_checkable
class SupportsArray(Protocol):
    """Anything that NumPy can read: a data frame, a series, an array of another library."""

    def __array__(self, dtype: Any = None, copy: Any = None) -> npt.NDArray[Any]:
        """The values as a NumPy array."""


ArrayLike = Tensor | npt.NDArray[Any] | Sequence[Any] | SupportsArray
"""A tensor, a NumPy array, a nested list of numbers, a list of equally shaped tensors, or anything NumPy can read."""


def real_tensor(value: ArrayLike | float | int, what: str) -> Tensor:
    """The values as a floating-point tensor; integers become float64, which holds them exactly.

    Tensors keep their dtype, device and gradient; everything else is copied.

    Raises:
        RepresentationError: complex, boolean or non-numeric values, or rows of unequal length.
    """
    tensor = any_tensor(value, what)
    if tensor.is_complex() or tensor.dtype == torch.bool:
        raise RepresentationError("wrong dtype", f"{what} must be real numbers, got dtype {tensor.dtype}")
    if tensor.is_floating_point():
        return tensor
    # MPS has no float64.
    return tensor.to(torch.float32 if tensor.device.type == "mps" else torch.float64)


def any_tensor(value: ArrayLike | float | int, what: str) -> Tensor:
    """The values as a tensor of any dtype.

    Raises:
        RepresentationError: values that are not numbers, or rows of unequal length.
    """
    if isinstance(value, Tensor):
        return value if value.layout == torch.strided else value.to_dense()
    if isinstance(value, Sequence) and len(value) and all(isinstance(part, Tensor) for part in value):
        shapes = {tuple(part.shape) for part in value}
        if len(shapes) > 1:
            raise RepresentationError(
                "wrong shape",
                f"{what} in a list of tensors must have one shape, got {_listed(shapes)}: pad them and pass a mask",
            )
        return torch.stack(list(value))
    try:
        array = np.array(value)
        if array.dtype.kind not in "biufc":
            raise RepresentationError("wrong dtype", f"{what} must be numbers, got values of type {array.dtype}")
        return torch.from_numpy(array.astype(array.dtype.newbyteorder("=")))
    except (ValueError, TypeError, RuntimeError) as error:
        if isinstance(error, RepresentationError):
            raise
        message = f"cannot convert {what} to an array of numbers: {first_line(error)}"
        raise RepresentationError("wrong shape", message) from error


def hidden_states(hidden: ArrayLike) -> Tensor:
    """Hidden states of one text, (tokens, d), or of a padded batch, (batch, tokens, d).

    Raises:
        RepresentationError: another shape, or values that are not real numbers.
    """
    states = real_tensor(hidden, "hidden states")
    shape = tuple(states.shape)
    if len(shape) not in (2, 3):
        raise RepresentationError(
            "wrong shape", f"hidden states must have shape (tokens, d) or (batch, tokens, d), got {shape}"
        )
    _refuse_empty(shape)
    return states


def states_of_one_text(hidden: ArrayLike) -> Tensor:
    """Hidden states of one text, (tokens, d).

    Raises:
        RepresentationError: another shape, or values that are not real numbers.
    """
    states = real_tensor(hidden, "hidden states")
    shape = tuple(states.shape)
    if len(shape) != 2:
        raise RepresentationError(
            "wrong shape",
            f"hidden states of one text must have shape (tokens, d), got {shape}: pass one text at a time",
        )
    _refuse_empty(shape)
    return states


def token_mask(mask: ArrayLike, states: Tensor, what: str = "hidden states") -> Tensor:
    """The mask as booleans, on the device of its states.

    Args:
        mask: True or 1 for real tokens, False or 0 for padding; the shape of the states without their last
            dimension.
        states: (tokens, d) or (batch, tokens, d).
        what: the name of the states in messages.

    Raises:
        RepresentationError: another shape, or values other than 0 and 1.
    """
    found = any_tensor(mask, "a mask")
    wanted = tuple(states.shape[:-1])
    if tuple(found.shape) != wanted:
        raise RepresentationError(
            "wrong mask",
            f"the mask of {what} of shape {tuple(states.shape)} must have shape {wanted}, got {tuple(found.shape)}",
        )
    if not ((found == 0) | (found == 1)).all():
        other = found[(found != 0) & (found != 1)].flatten()[0].item()
        raise RepresentationError(
            "wrong mask", f"a mask must be 1 (or True) for real tokens and 0 (or False) for padding, got {other}"
        )
    return found.to(states.device).bool()


def _refuse_empty(shape: tuple[int, ...]) -> None:
    if shape[-1] == 0 or (len(shape) == 3 and shape[0] == 0):
        raise RepresentationError("wrong shape", f"hidden states are empty: got shape {shape}")


def _listed(shapes: set[tuple[int, ...]]) -> str:
    return " and ".join(map(str, sorted(shapes)[:3]))
