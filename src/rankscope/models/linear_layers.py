"""The linear layers of a network's blocks, and those that read a layer's hidden states."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from rankscope.errors import ModelError

if TYPE_CHECKING:
    from rankscope.models.network import Network


@dataclass(frozen=True)
class LinearShape:
    """The size of one linear layer, or of several parallel ones with the same input.

    Attributes:
        inputs: size of the input.
        outputs: size of the output, summed over parallel layers.
    """

    inputs: int
    outputs: int

    def share_of_weights(self, directions: int) -> float:
        """Weights of a factorisation of this rank, divided by the full layer's; above 1, factoring does not pay."""
        return directions * (self.inputs + self.outputs) / (self.inputs * self.outputs)


def linear_layers(module: nn.Module) -> Iterator[nn.Module]:
    """The linear layers inside a module: `nn.Linear`, and GPT-2's `Conv1D`, which stores its weight transposed."""
    return (one for one in module.modules() if isinstance(one, nn.Linear) or is_transposed(one))


def is_transposed(module: nn.Module) -> bool:
    """Whether a linear layer's weight is (inputs, outputs)."""
    from transformers.pytorch_utils import Conv1D

    return isinstance(module, Conv1D)


@torch.no_grad()
def readers_of_layers(network: Network, tokens: list[int]) -> dict[str, LinearShape]:
    """The linear layers that read each layer's hidden states, through a norm if there is one.

    In each block these are the first linear layer to run and those that receive the same tensor, such as query, key and
    value of an attention. The head reads `last`. Layers whose readers do not take inputs of the
    hidden size are omitted.

    Args:
        network: with its blocks.
        tokens: a short text, which runs once.

    Raises:
        ModelError: the network's blocks cannot be read.
    """
    if network.fault is not None:
        raise ModelError(f"{network.fault}: so the linear layers that read each layer cannot be determined")
    first: dict[str, Tensor] = {}
    found: dict[str, LinearShape] = {}

    def note(layer: str, module: nn.Module, args: tuple[Any, ...]) -> None:
        if layer not in first:
            first[layer] = args[0]
        if first[layer] is args[0]:
            inputs, outputs = _sizes(module)
            found[layer] = LinearShape(inputs, outputs + (found[layer].outputs if layer in found else 0))

    with ExitStack() as stack:
        for layer, block in enumerate(network.blocks):
            for module in linear_layers(block):
                stack.callback(module.register_forward_pre_hook(partial(note, str(layer))).remove)
        network.model(input_ids=torch.tensor([tokens], device=network.device), use_cache=False)
    size = network.model.config.get_text_config().hidden_size
    head = network.model.get_output_embeddings()
    if isinstance(head, nn.Linear):
        found["last"] = LinearShape(head.in_features, head.out_features)
    return {layer: shape for layer, shape in found.items() if shape.inputs == size}


def _sizes(module: nn.Module) -> tuple[int, int]:
    outputs, inputs = module.weight.shape  # type: ignore[misc]
    return (outputs, inputs) if is_transposed(module) else (inputs, outputs)
