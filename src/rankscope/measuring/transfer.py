"""Transfers from a device to the host: one copy for many tensors, read while the device continues computing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


class Transfer:
    """A copy that starts at once; reading it waits for its end.

    Args:
        tensors: of real numbers, on one device; copied in float64, or in float32 from devices without float64.
    """

    def __init__(self, tensors: Sequence[Tensor]) -> None:
        self._shapes = [tuple(tensor.shape) for tensor in tensors]
        self._arrived: torch.cuda.Event | None = None
        self._flat: Tensor | None = None
        if not tensors:
            return
        device = tensors[0].device
        kind = torch.float32 if device.type == "mps" else torch.float64
        flat = torch.cat([tensor.detach().to(kind).flatten() for tensor in tensors])
        if device.type == "cuda":
            self._flat = torch.empty(flat.shape, dtype=kind, pin_memory=True)
            self._flat.copy_(flat, non_blocking=True)
            self._arrived = torch.cuda.Event()  # type: ignore[no-untyped-call]
            self._arrived.record(torch.cuda.current_stream(device))
        else:
            self._flat = flat.to("cpu")

    def read(self) -> list[npt.NDArray[np.float64]]:
        """The values of each tensor, in its shape."""
        if self._flat is None:
            return []
        if self._arrived is not None:
            self._arrived.synchronize()
        numbers, found, start = self._flat.numpy(), [], 0
        for shape in self._shapes:
            size = 1
            for axis in shape:
                size *= axis
            found.append(numbers[start : start + size].reshape(shape))
            start += size
        return found
