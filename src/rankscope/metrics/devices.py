"""Transfers of small numbers to a device, and whether reading from it requires waiting."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
from jaxtyping import Int
from torch import Tensor

MATRICES_AT_ONCE = 256
"""This many matrices of a few hundred rows fill a large card; fewer take about the same time."""


def on_device(numbers: Sequence[int], device: torch.device, dtype: torch.dtype = torch.int64) -> Tensor:
    """Numbers from the host as a tensor, without waiting for the device."""
    tensor = torch.tensor(numbers, dtype=dtype, pin_memory=device.type == "cuda")
    return tensor.to(device, non_blocking=True)


class SideStream:
    """Runs work on a CUDA device in parallel with its other work, as capacity allows; no effect on other devices.

    The caller must keep the tensors of that work until it is done.
    """

    def __init__(self) -> None:
        self._streams: dict[torch.device, torch.cuda.Stream] = {}

    def __call__(self, device: torch.device) -> AbstractContextManager[object]:
        """In this context, work starts once all work given to the device so far is done."""
        if device.type != "cuda":
            return nullcontext()
        if device not in self._streams:
            self._streams[device] = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self._streams[device].wait_stream(torch.cuda.current_stream(device))
        return torch.cuda.stream(self._streams[device])


def places_of_tokens(tokens: Sequence[int], longest: int, device: torch.device) -> Int[Tensor, " all"]:
    """Positions of the texts' tokens among the rows of a padded batch, text by text."""
    places = torch.cat([torch.arange(count) + text * longest for text, count in enumerate(tokens)])
    return (places.pin_memory() if device.type == "cuda" else places).to(device, non_blocking=True)


def read_at_once(device: torch.device) -> bool:
    """Whether tensors can be read without waiting for the device."""
    return device.type == "cpu"


def bytes_at_once(device: torch.device) -> int:
    """Maximum memory of Gram matrices decomposed together: many fill a large card."""
    if device.type == "cpu":
        return 64 << 20
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory) // 32
    return 256 << 20
