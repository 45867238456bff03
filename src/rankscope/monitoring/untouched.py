"""Measuring a model during training without changing it or any global state."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import numpy as np
import torch
from torch import nn

_WRAPPERS = ("module", "_orig_mod")  # of DistributedDataParallel and similar, and of torch.compile


def unwrapped(model: nn.Module) -> nn.Module:
    """The model inside the wrappers of data parallelism, torch.compile and PEFT."""
    while inner := next((vars(model)["_modules"][name] for name in _WRAPPERS if name in vars(model)["_modules"]), None):
        model = inner
    base = getattr(model, "get_base_model", None)
    return base() if callable(base) else model


def is_sharded(model: nn.Module) -> bool:
    """Whether parameters are sharded over processes (FSDP, FSDP2, DeepSpeed ZeRO-3), which then all must run it."""
    from torch.distributed.tensor import DTensor

    return any(isinstance(one, DTensor) or hasattr(one, "ds_id") for one in model.parameters()) or any(
        type(module).__name__ == "FullyShardedDataParallel" or _is_fsdp2(module) for module in model.modules()
    )


@contextmanager
def untouched(model: nn.Module) -> Iterator[None]:
    """In this context the model is in eval mode, uncompiled and outside autocast; everything is restored afterwards.

    Restored are the mode of each module and the random generators of Python, NumPy and torch, for the CPU and the
    model's devices. Gradients, hooks, settings and buffers are not touched: forward passes run without gradients and
    without a cache.
    """
    modules = list(model.modules())
    modes = [module.training for module in modules]
    devices = {parameter.device for parameter in model.parameters()}
    with ExitStack() as stack:
        stack.enter_context(torch.random.fork_rng([one for one in devices if one.type == "cuda"]))
        stack.callback(random.setstate, random.getstate())
        stack.callback(np.random.set_state, np.random.get_state())  # noqa: NPY002
        stack.enter_context(torch.inference_mode(False))  # tensors that modules keep must remain trainable
        for kind in {one.type for one in devices} - {"meta"}:
            stack.enter_context(torch.autocast(kind, enabled=False))
        if "torch._dynamo" in sys.modules:  # hooks and partial batches would trigger recompilation
            stack.enter_context(torch.compiler.set_stance("force_eager"))
        stack.enter_context(_without_autocast_of_accelerate(modules))
        try:
            for module in modules:
                module.training = False
            yield
        finally:
            for module, mode in zip(modules, modes, strict=True):
                module.training = mode
            for module in filter(_is_fsdp2, modules):
                module.reshard()  # type: ignore[operator]  # the root stays gathered, and misses the next update


@contextmanager
def _without_autocast_of_accelerate(modules: list[nn.Module]) -> Iterator[None]:
    """Models prepared by accelerate for mixed precision enter autocast in their own `forward`."""
    wrapped = [(module, vars(module)) for module in modules if {"forward", "_original_forward"} <= vars(module).keys()]
    own = [attributes["forward"] for _, attributes in wrapped]
    try:
        for _, attributes in wrapped:
            attributes["forward"] = attributes["_original_forward"]
        yield
    finally:
        for (_, attributes), forward in zip(wrapped, own, strict=True):
            attributes["forward"] = forward


def _is_fsdp2(module: nn.Module) -> bool:
    distributed = sys.modules.get("torch.distributed.fsdp")  # FSDP cannot be in use unless it was imported
    return distributed is not None and isinstance(module, distributed.FSDPModule)
