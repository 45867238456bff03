"""On which device a model runs, and in which dtype."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from rankscope.errors import SettingsError, first_line

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@dataclass(frozen=True)
class Placement:
    """A dtype by name, and a device: `cpu`, `cuda`, `cuda:1`, `mps`, or `spread` over all accelerators."""

    dtype: str = "float32"
    device: str = "cpu"

    @property
    def torch_dtype(self) -> torch.dtype:
        """The dtype as torch knows it."""
        dtype = getattr(torch, self.dtype)
        if not isinstance(dtype, torch.dtype):
            raise SettingsError(f"dtype names a torch dtype, got {self.dtype!r}")
        return dtype


def resolve_device(device: str) -> str:
    """`auto` becomes the first accelerator, else the CPU; any other name is checked.

    Raises:
        SettingsError: no such device on this machine.
    """
    if device == "auto":
        if torch.cuda.is_available():
            return "cuda"
        return "mps" if torch.backends.mps.is_available() else "cpu"
    if device == "spread":
        return device
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise SettingsError(
            f"no device {device!r} on this machine ({first_line(error)}): cpu, cuda, cuda:N, mps, auto or spread"
        ) from error
    return device


def place(model: PreTrainedModel, placement: Placement) -> PreTrainedModel:
    """Moves a model to its device; `spread` divides its blocks over all accelerators (accelerate)."""
    if placement.device != "spread":
        return model.to(placement.device)
    from accelerate import dispatch_model, infer_auto_device_map

    unsplit = list(getattr(model, "_no_split_modules", None) or [])
    device_map = infer_auto_device_map(model, no_split_module_classes=unsplit, dtype=placement.torch_dtype)
    return dispatch_model(model, device_map)
