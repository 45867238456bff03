"""The dropout that a network applies in train mode."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from torch import nn
from torch.nn.modules.dropout import _DropoutNd

from rankscope.models.outline import language_modules

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import CodeType

    from transformers import PreTrainedModel

_CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)


def dropout_of(outline: PreTrainedModel) -> float:
    """The largest dropout of hidden states, attention or blocks that the causal language model applies in train mode.

    Configurations also hold dropout rates of absent heads, such as a classifier's. Only rates that the code of the
    model's own modules reads count: a dropout module, a rate stored in a module, or one in its configuration.
    """
    rates = (rate for module, _ in language_modules(outline) for rate in _rates(module))
    return max(rates, default=0.0)


def _rates(module: nn.Module) -> Iterator[float]:
    if isinstance(module, _CONTAINERS):
        yield from (child.p for child in module.children() if isinstance(child, _DropoutNd))
        return
    for name in _names_read(type(module)) - _not_applied(module):
        here = module._modules.get(name, vars(module).get(name))
        if isinstance(here, _DropoutNd):
            yield here.p
        elif "drop" in name:
            rate = here if here is not None else getattr(vars(module).get("config"), name, None)
            if isinstance(rate, (int, float)) and not isinstance(rate, bool):
                yield float(rate)


def _names_read(kind: type[nn.Module]) -> set[str]:
    """All names used by a class's own methods, apart from its constructor."""
    from transformers import PreTrainedModel

    above = {*PreTrainedModel.__mro__}
    methods = [method for one in kind.__mro__ if one not in above for method in vars(one).items()]
    functions = [inspect.unwrap(method) for name, method in methods if name != "__init__" and callable(method)]
    return {name for one in functions if inspect.isfunction(one) for name in _names(one.__code__)}


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if inspect.iscode(constant):
            yield from _names(constant)


def _not_applied(module: nn.Module) -> set[str]:
    """Rates that a class reads without applying them."""
    config: Any = vars(module).get("config")
    # Without alibi, Falcon's attention calls torch's with dropout 0; the block applies the rate if it is sequential.
    if type(module).__name__ == "FalconAttention" and not config.alibi:
        return {"attention_dropout"}
    if type(module).__name__ == "FalconDecoderLayer" and (config.new_decoder_architecture or config.parallel_attn):
        return {"attention_dropout"}
    return set()
