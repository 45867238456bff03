"""Models that are being trained, and what is to stay as it is while they are measured; importable by processes."""

from __future__ import annotations

import os
import random
import signal
from typing import Any

import numpy as np
import torch
import torch.distributed
from torch import nn

from rankscope import Monitor
from tiny import SENTENCES, tiny_model, tiny_tokenizer


def monitor(**settings: Any) -> Monitor:
    return Monitor(SENTENCES, tiny_tokenizer(), **settings)


def in_training(name: str = "gpt2") -> Any:
    """A model with dropout in the middle of a training: some modules in eval mode, one frozen, gradients, a hook."""
    model = tiny_model(name).train()
    backward(model)
    first = next(module for module in model.modules() if isinstance(module, nn.ModuleList))[0]
    first.eval()
    for parameter in first.parameters():
        parameter.requires_grad_(False)
    first.register_forward_hook(lambda *_: None)
    return model


def backward(model: nn.Module) -> float:
    tokens = torch.arange(40).view(2, 20) + 5
    loss = model(input_ids=tokens, labels=tokens).loss
    loss.backward()
    return float(loss.detach())


def everything(model: nn.Module) -> dict[str, Any]:
    """What a look at a model may not change, in a form that can be compared with `==`."""
    modules = dict(model.named_modules(remove_duplicate=False))
    hooks = [name for name in vars(nn.Module()) if name.endswith("_hooks")]
    return {
        "modes": {name: module.training for name, module in modules.items()},
        "hooks": {name: [list(getattr(module, kind)) for kind in hooks] for name, module in modules.items()},
        "attributes": {name: list(vars(module)) for name, module in modules.items()},
        "forwards": {name: vars(module).get("forward") for name, module in modules.items()},
        "weights": {name: one.detach().numpy().tobytes() for name, one in model.named_parameters()},
        "buffers": {name: one.numpy().tobytes() for name, one in model.named_buffers()},
        "gradients": {
            name: None if one.grad is None else one.grad.numpy().tobytes() for name, one in model.named_parameters()
        },
        "frozen": [name for name, one in model.named_parameters() if not one.requires_grad],
        "config": str(getattr(model, "config", None)),
        "generators": [torch.get_rng_state().tolist(), random.getstate(), str(np.random.get_state())],  # noqa: NPY002
        "autocast": [
            torch.is_autocast_enabled("cpu"),
            torch.get_autocast_dtype("cpu"),
            torch.is_autocast_cache_enabled(),
        ],
        "grad": [torch.is_grad_enabled(), torch.is_inference_mode_enabled()],
    }


Numbers = list[tuple[str, str, float]]


def numbers(one: Monitor, model: nn.Module, step: int = 0) -> Numbers:
    return one.measure(model, step).select("layer", "metric", "value").rows()


def of_one_process() -> Numbers:
    return numbers(monitor(), tiny_model("llama"))


def wrapped(kind: str) -> nn.Module:
    """A tiny model whose processes each have a copy, or a part."""
    model = tiny_model("llama").train()
    if kind == "ddp":
        return nn.parallel.DistributedDataParallel(model)
    from torch.distributed.fsdp import fully_shard

    if kind != "fsdp2-root":
        for block in model.model.layers:
            fully_shard(block)
    return fully_shard(model)


def measured_in_training(kind: str) -> tuple[Numbers, Numbers, list[float]]:
    """Numbers before and after an update between whose forward pass and step there was a look, and the losses."""
    model = wrapped(kind)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    one = monitor()
    first, losses = numbers(one, model), [backward(model)]
    numbers(one, model, 1)
    optimizer.step()
    optimizer.zero_grad()
    second = numbers(one, model, 2)
    return first, second, [*losses, backward(model)]


def ddp(_rank: int) -> Any:
    return measured_in_training("ddp")


def fsdp2(_rank: int) -> Any:
    return measured_in_training("fsdp2")


def fsdp2_root(_rank: int) -> Any:
    return measured_in_training("fsdp2-root")


def without_numbers(rank: int) -> Any:
    """Alarms of a model that overflows, and its loss once it is mended."""
    model = wrapped("fsdp2")
    one = monitor(layers="1,2", metrics=("effective_rank",))  # what comes after block 2 is not needed
    rows = [len(one.measure(model, 0))]
    norm = model.model.layers[1].input_layernorm.weight
    with torch.no_grad():
        kept = norm.clone()
        norm.fill_(torch.inf)
    rows.append(len(one.measure(model, 1)))
    with torch.no_grad():
        norm.copy_(kept)
    rows.append(len(one.measure(model, 2)))
    return rows, [(alarm.kind, alarm.step) for alarm in one.fired], backward(model)


def one_is_killed(rank: int) -> str:
    """What the other process says whose partner dies in the middle of a measurement."""
    model = wrapped("fsdp2")
    if rank == 1:
        model.model.layers[1].register_forward_pre_hook(lambda *_: os.kill(os.getpid(), signal.SIGKILL))
    try:
        monitor().measure(model, 0)
    except Exception as error:  # noqa: BLE001
        return type(error).__name__
    return "no error"
