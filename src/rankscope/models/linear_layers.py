"""The linear layers of a network's blocks, and which of them read the hidden states of a layer."""

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
    """Sizes of one linear layer, or of several side by side that read the same input.

    Attributes:
        inputs: numbers that each of them reads.
        outputs: numbers that they write together.
    """

    inputs: int
    outputs: int

    def share_of_weights(self, directions: int) -> float:
        """Weights of the two-step map through so many directions, over those of the full one; above 1 it costs more."""
        return directions * (self.inputs + self.outputs) / (self.inputs * self.outputs)


def linear_layers(module: nn.Module) -> Iterator[nn.Module]:
    """The linear layers inside a module: `nn.Linear`, and GPT-2's `Conv1D`, which holds its weight transposed."""
    return (one for one in module.modules() if isinstance(one, nn.Linear) or is_transposed(one))


def is_transposed(module: nn.Module) -> bool:
    """Whether a linear layer's weight is (inputs, outputs)."""
    from transformers.pytorch_utils import Conv1D

    return isinstance(module, Conv1D)


@torch.no_grad()
def readers_of_layers(network: Network, tokens: list[int]) -> dict[str, LinearShape]:
    """The linear layers that read each layer's hidden states (through a norm, where there is one).

    In each block these are the first linear layer that runs and those that are given the same tensor: query, key and
    value of an attention. The head reads `last`. A layer whose reader is as wide as no hidden state is left out.

    Args:
        network: with its blocks.
        tokens: a short text, which runs once.

    Raises:
        ModelError: its blocks cannot be read.
    """
    if network.fault is not None:
        raise ModelError(f"{network.fault}: nothing can be said of the layers between blocks")
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
