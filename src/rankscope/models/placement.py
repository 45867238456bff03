"""The device and dtype of a model."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from rankscope.errors import SettingsError, first_line

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel


@dataclass(frozen=True)
class Placement:
    """A dtype by name, and a device: `cpu`, `cuda`, `cuda:1`, `mps`, or `spread` over all accelerators.

    The dtype `auto` depends on the model; see `of`.
    """

    dtype: str = "float32"
    device: str = "cpu"

    def of(self, config: PretrainedConfig) -> Placement:
        """The placement of one model: `auto` becomes float32 on a CPU, and the checkpoint's own dtype elsewhere.

        A checkpoint in float16 is computed in bfloat16 if the device supports it, because its hidden states can exceed
        float16's range. Float32 if the configuration names no dtype (GGUF) or the device does not support it.
        """
        if self.dtype != "auto":
            return self
        return replace(self, dtype="float32" if self.device == "cpu" else _dtype_elsewhere(own_dtype(config)))

    @property
    def torch_dtype(self) -> torch.dtype:
        """The torch dtype."""
        dtype = getattr(torch, self.dtype)
        if not isinstance(dtype, torch.dtype):
            raise SettingsError(f"dtype must be the name of a torch dtype, got {self.dtype!r}")
        return dtype


def own_dtype(config: PretrainedConfig) -> str:
    """The dtype named in a checkpoint's configuration; float32 if there is none."""
    named = getattr(config, "dtype", None) or getattr(config.get_text_config(), "dtype", None)
    return str(named or "float32").removeprefix("torch.")


def _dtype_elsewhere(own: str) -> str:
    """The dtype on an accelerator."""
    if own not in ("bfloat16", "float16"):
        return "float32"
    if not torch.cuda.is_available() or torch.cuda.is_bf16_supported(including_emulation=False):
        return "bfloat16"
    return "float16" if own == "float16" else "float32"


def resolve_device(device: str) -> str:
    """Resolves `auto` to the first accelerator, else the CPU; checks any other name.

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
            f"device {device!r} is not available on this machine ({first_line(error)}): use cpu, cuda, cuda:N, mps, "
            "auto or spread"
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
