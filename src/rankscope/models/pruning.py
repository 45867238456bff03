"""Removes whole blocks from a network in memory, so that it equals the network that its new configuration defines.

The modules are removed from the list of blocks, and the configuration is shortened accordingly. The network's own code
then builds the outline of that configuration. If a block differs from it (another attention window, experts instead of
a dense layer), this is an error, because the saved model would not be the measured one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from rankscope.errors import ModelError, SettingsError, first_line
from rankscope.models.layers import NUMBER_OF_BLOCKS, find_blocks
from rankscope.models.outline import unquantized

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel

# Attributes in which modules store the position of their block, for a cache or a schedule.
_PLACES = ("layer_idx", "layer_id", "layer_index", "layer_number", "layer_num", "block_idx", "idx")
# The number of blocks if `num_hidden_layers` is the encoder's (BART and its relatives).
_OF_DECODER = "decoder_layers"
# Words that occur in the names of settings with one value per block.
_FOR_EACH_BLOCK = ("layer", "block", "types")


@contextmanager
def without_blocks(model: PreTrainedModel, removed: Collection[int]) -> Iterator[PreTrainedModel]:
    """In this context, the network lacks some blocks; afterwards they are restored.

    Args:
        model: in memory. `save_pretrained` in the context saves the smaller network.
        removed: numbers of blocks, from 1. Block k is between layers k - 1 and k.

    Raises:
        SettingsError: a number out of range, or all blocks would be removed.
        ModelError: the network has no list of blocks, or its configuration cannot describe it without these blocks.
    """
    blocks = find_blocks(model)
    kept = _kept(len(blocks), removed)
    parent, name = _holder(model, blocks)
    with ExitStack() as undo:
        if len(kept) < len(blocks):
            _shorten(model.config, len(blocks), kept, undo)
            _renumber(blocks, kept, undo)
            undo.callback(setattr, parent, name, blocks)
            setattr(parent, name, nn.ModuleList(blocks[place] for place in kept))
            _refuse_unlike(model)
        yield model


def _kept(blocks: int, removed: Collection[int]) -> list[int]:
    """Positions, from 0, of the remaining blocks."""
    if unknown := sorted(number for number in removed if not 1 <= number <= blocks):
        raise SettingsError(f"blocks are numbered from 1 to {blocks}, got {', '.join(map(str, unknown))}")
    kept = [place for place in range(blocks) if place + 1 not in removed]
    if not kept:
        raise SettingsError(f"all {blocks} blocks would be removed: leave at least one")
    return kept


def _holder(model: PreTrainedModel, blocks: nn.ModuleList) -> tuple[nn.Module, str]:
    """The module that holds the list of blocks, and the name of its attribute."""
    path = next(name for name, module in model.named_modules() if module is blocks)
    above, _, name = path.rpartition(".")
    return model.get_submodule(above), name


def _shorten(config: PretrainedConfig, blocks: int, kept: Sequence[int], undo: ExitStack) -> None:
    text_config = config.get_text_config(decoder=True)
    for name, value in list(vars(text_config).items()):
        is_list = isinstance(value, list | tuple) and len(value) == blocks
        if is_list and any(word in name for word in _FOR_EACH_BLOCK):
            _replace(text_config, name, type(value)(value[place] for place in kept), undo)
    for name in (*NUMBER_OF_BLOCKS, _OF_DECODER):
        if getattr(text_config, name, None) == blocks:
            _replace(text_config, name, len(kept), undo)


def _replace(owner: Any, name: str, value: object, undo: ExitStack) -> None:
    undo.callback(setattr, owner, name, getattr(owner, name))
    setattr(owner, name, value)


def _renumber(blocks: nn.ModuleList, kept: Sequence[int], undo: ExitStack) -> None:
    for new, old in enumerate(kept):
        for module in blocks[old].modules() if new != old else ():
            for name in _PLACES:
                if type(vars(module).get(name)) is int and vars(module)[name] == old:
                    _replace(module, name, new, undo)


def _refuse_unlike(model: PreTrainedModel) -> None:
    """Compares the network with the outline of its configuration.

    Raises:
        ModelError: they differ.
    """
    name = type(model).__name__
    advice = "its blocks cannot be removed"
    config = unquantized(model.config)
    try:
        with torch.random.fork_rng(devices=[]), torch.device("meta"):
            outline = type(model)(type(config).from_dict(config.to_dict()))
    except Exception as error:  # an inconsistent configuration can raise any error
        raise ModelError(
            f"{name} cannot be built with {len(find_blocks(model))} of its blocks ({first_line(error)}): {advice}"
        ) from error
    here, there = _shapes(model), _shapes(outline)
    if other := sorted(key for key in here.keys() | there.keys() if here.get(key) != there.get(key)):
        raise ModelError(f"{name} without these blocks would have a different {other[0]} when it is loaded: {advice}")
    for place, blocks in enumerate(zip(find_blocks(model), find_blocks(outline), strict=True), start=1):
        ours, loaded = (_constants(block) for block in blocks)
        if odd := sorted(key for key in ours.keys() & loaded.keys() if ours[key] != loaded[key]):
            raise ModelError(
                f"{name} without these blocks: block {place} has {odd[0]} = {ours[odd[0]]!r}, and would have "
                f"{loaded[odd[0]]!r} when it is loaded: {advice}"
            )


def _shapes(model: nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}


def _constants(block: nn.Module) -> dict[str, object]:
    """The classes and plain attributes of a block's modules, which distinguish one block from another."""
    return {
        f"{path}.{name}".lstrip("."): value
        for path, module in block.named_modules()
        for name, value in (("class", type(module).__name__), *vars(module).items())
        if not name.startswith("_") and name != "training" and isinstance(value, bool | int | float | str | None)
    }
