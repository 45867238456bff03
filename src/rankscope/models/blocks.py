"""Finds the blocks of a network by observing which modules run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import nn

from rankscope.models.forward_pass import given_to_block
from rankscope.models.layers import list_lengths

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@dataclass(frozen=True)
class Call:
    """One call of a module of a `ModuleList`, with the list's name, the inputs and the output."""

    list_name: str
    module: nn.Module
    given: list[Any]
    output: Any


@contextmanager
def recorded_calls(model: PreTrainedModel) -> Iterator[list[Call]]:
    """Records the calls of all modules in module lists, in the order in which they end."""
    calls: list[Call] = []

    def record(name: str) -> Any:
        def after(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
            calls.append(Call(name, module, given_to_block(args, kwargs), output))

        return after

    with ExitStack() as stack:
        for name, module in model.named_modules():
            if isinstance(module, nn.ModuleList):
                for element in module:
                    handle = element.register_forward_hook(record(name), with_kwargs=True)
                    stack.callback(handle.remove)
        yield calls


def block_calls(model: PreTrainedModel, calls: list[Call]) -> list[Call]:
    """The calls of decoder blocks, in order.

    Blocks are in an outermost list, and have a class that the architecture declares as a block or that supports
    gradient checkpointing. In older code that declares none, the list has the length given by the configuration.
    """
    names = sorted({call.list_name for call in calls}, key=lambda name: name.count("."))
    outermost: list[str] = []
    for name in names:
        if not any(name.startswith(f"{outer}.") for outer in outermost):
            outermost.append(name)
    of_length = [name for name in outermost if len(model.get_submodule(name)) in list_lengths(model.config)]
    declared = [name for name in outermost if _are_blocks(model.get_submodule(name), model)]
    chosen = [name for name in of_length if name in declared] or declared or of_length
    if len(chosen) > 1 and not declared:
        chosen = _last_of_parallel(chosen, calls)
    return [call for call in calls if call.list_name in chosen]


def _are_blocks(elements: Any, model: PreTrainedModel) -> bool:
    from transformers.modeling_layers import GradientCheckpointingLayer

    unsplit = set(getattr(model, "_no_split_modules", None) or ())
    return all(isinstance(one, GradientCheckpointingLayer) or type(one).__name__ in unsplit for one in elements)


def _last_of_parallel(names: list[str], calls: list[Call]) -> list[str]:
    """For lists that alternate (attention, norm, feed-forward, norm, ...), the one that ends each turn."""
    order = [call.list_name for call in calls if call.list_name in names]
    shallowest = min(name.count(".") for name in names)
    last = order[-1] if order else names[0]
    return [last] if last.count(".") == shallowest else [name for name in names if name.count(".") == shallowest][-1:]
