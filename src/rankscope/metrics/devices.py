"""Small numbers on their way to a device, and whether a device has to be waited for."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Int
from torch import Tensor

MATRICES_AT_ONCE = 256
"""As many matrices of a few hundred rows fill a large card; fewer take about as long."""


def on_device(numbers: Sequence[int], device: torch.device, dtype: torch.dtype = torch.int64) -> Tensor:
    """Numbers of the host as a tensor, without waiting for the device."""
    tensor = torch.tensor(numbers, dtype=dtype, pin_memory=device.type == "cuda")
    return tensor.to(device, non_blocking=True)


def places_of_tokens(tokens: Sequence[int], longest: int, device: torch.device) -> Int[Tensor, " all"]:
    """Where the tokens of texts lie among the rows of a padded batch, text by text."""
    places = torch.cat([torch.arange(count) + text * longest for text, count in enumerate(tokens)])
    return (places.pin_memory() if device.type == "cuda" else places).to(device, non_blocking=True)


def read_at_once(device: torch.device) -> bool:
    """Whether tensors can be looked at without waiting for the device."""
    return device.type == "cpu"


def bytes_at_once(device: torch.device) -> int:
    """How large the Gram matrices that wait to be decomposed together may become: many fill a large card."""
    if device.type == "cpu":
        return 64 << 20
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory) // 32
    return 256 << 20
