"""Rounds the weights of blocks' linear layers to a few bits while a network runs: fake quantisation."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from rankscope.errors import ModelError, SettingsError
from rankscope.models.layers import find_blocks
from rankscope.models.linear_layers import is_transposed, linear_layers

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@dataclass(frozen=True)
class Rounding:
    """Symmetric rounding to nearest, with one scale per row of a weight, or per group of adjacent numbers in a row.

    Attributes:
        bits: per number, which has 2^bits - 1 possible values: -(2^(bits-1) - 1) to 2^(bits-1) - 1 times its scale.
        group: how many adjacent numbers of a row share a scale; a row's last group may be smaller. None: whole rows.
    """

    bits: int
    group: int | None = None

    def __post_init__(self) -> None:
        if self.bits < 2 or (self.group is not None and self.group < 1):
            got = f"{self.bits} bits and groups of {self.group}"
            raise SettingsError(f"rounding needs 2 bits or more and groups of 1 or more, got {got}")

    @property
    def scheme(self) -> str:
        """Which weights share a scale, in words."""
        return "by channel" if self.group is None else f"in groups of {self.group}"

    @property
    def largest(self) -> int:
        """The largest integer that a number is rounded to, in units of its scale."""
        return (1 << (self.bits - 1)) - 1

    def of(self, weight: Tensor) -> Tensor:
        """A weight (outputs, inputs), or a stack of them, rounded, in its own dtype.

        The scale of a group is its largest absolute value divided by `largest`. Computed in float32.
        """
        inputs = weight.shape[-1]
        group = min(self.group or inputs, inputs)
        padded = nn.functional.pad(weight.float(), (0, -inputs % group))
        rows = padded.reshape(*weight.shape[:-1], -1, group)
        scales = rows.abs().amax(dim=-1, keepdim=True) / self.largest
        # A group of zeros has no scale and is left unchanged.
        whole = (rows / torch.where(scales > 0, scales, 1)).round().clamp(-self.largest, self.largest)
        rounded: Tensor = (whole * scales).flatten(-2)[..., :inputs]
        return rounded.to(weight.dtype)


class _Rounded(nn.Module):
    """A parametrisation that rounds a weight whenever it is read."""

    def __init__(self, rounding: Rounding, *, transposed: bool) -> None:
        super().__init__()
        self._rounding, self._transposed = rounding, transposed

    def forward(self, weight: Tensor) -> Tensor:
        """The rounded weight."""
        return self._rounding.of(weight.T).T if self._transposed else self._rounding.of(weight)


@contextmanager
def rounded_weights(model: PreTrainedModel, rounding: Rounding) -> Iterator[PreTrainedModel]:
    """In this context, the linear layers of blocks compute with rounded weights, rounded each time a layer runs.

    The weights themselves are kept, so memory holds one network and one rounded weight.

    Raises:
        ModelError: no blocks, or no linear layers in them.
    """
    layers = [layer for block in find_blocks(model) for layer in linear_layers(block)]
    if not layers:
        raise ModelError(f"the blocks of {type(model).__name__} have no linear layers whose weights can be rounded")
    changed: list[nn.Module] = []
    try:
        for layer in layers:
            rounded = _Rounded(rounding, transposed=is_transposed(layer))
            parametrize.register_parametrization(layer, "weight", rounded, unsafe=True)
            changed.append(layer)
        yield model
    finally:
        for layer in changed:
            parametrize.remove_parametrizations(layer, "weight", leave_parametrized=False)


def share_of_linear_weights(model: PreTrainedModel) -> float:
    """The share of the blocks' parameters that are weights of linear layers; the others are never rounded."""
    blocks = find_blocks(model)
    weights = [layer.get_parameter("weight") for layer in linear_layers(blocks)]
    return sum(weight.numel() for weight in weights) / sum(parameter.numel() for parameter in blocks.parameters())
