"""Available layers, and the selection from them.

`0` is the embeddings as they enter block 1, `k` the output of block k, `last` the input of the
language-model head: after the final norm, and after a final projection if there is one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from torch import nn

from rankscope.errors import ModelError, UnknownNameError

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel

_NAMED = ("last", "first", "middle", "all")
# transformers' own name for the number of blocks, followed by names used in custom modelling code.
NUMBER_OF_BLOCKS = ("num_hidden_layers", "num_transformer_layers", "num_layers", "n_layers", "n_layer")

# For blocks that run several times, or only with an image.
_STEPS: dict[str, Callable[[Any], int]] = {
    "dory": lambda config: (
        config.n_input_layers + config.n_recurrent_layers * config.n_recurrent_loops + config.n_output_layers
    ),
    "inkling2_loop_text": lambda config: (
        config.num_hidden_layers
        + (config.loop_layer_index_end - config.loop_layer_index_start) * (config.loop_num_passes - 1)
    ),
    "longcat_flash": lambda config: config.num_layers,
    "mllama_text_model": lambda config: config.num_hidden_layers - len(config.cross_attention_layers),
}


def count_blocks(config: PretrainedConfig) -> int:
    """The number of decoder blocks that run on a text, one after the other.

    A block that runs several times counts each time (looped networks); one that runs only with an image does not
    count.

    Raises:
        ModelError: the configuration does not give a number.
    """
    text_config = config.get_text_config(decoder=True)
    if (steps := _STEPS.get(text_config.model_type)) is not None:
        return steps(text_config)
    for name in NUMBER_OF_BLOCKS:
        if isinstance(number := getattr(text_config, name, None), int) and not isinstance(number, bool):
            return number
    raise ModelError(
        f"the configuration does not give the number of blocks: none of {', '.join(NUMBER_OF_BLOCKS)} is set"
    )


def list_lengths(config: PretrainedConfig) -> set[int]:
    """Possible lengths of the list of blocks: each block once, or one for each step."""
    text_config = config.get_text_config(decoder=True)
    named = {getattr(text_config, name, None) for name in NUMBER_OF_BLOCKS}
    steps = {_STEPS[text_config.model_type](text_config)} if text_config.model_type in _STEPS else set()
    return {number for number in named | steps if isinstance(number, int)}


def find_blocks(model: PreTrainedModel) -> nn.ModuleList:
    """The decoder blocks of a model: its outermost `ModuleList` with one module per block.

    Raises:
        ModelError: no such list.
    """
    number = count_blocks(model.config)
    lists = {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, nn.ModuleList) and len(module) == number
    }
    if not lists:
        raise ModelError(f"{type(model).__name__} has no list of {number} blocks: only --layers last can be measured")
    return lists[min(lists, key=lambda name: name.count("."))]


def layers_of(config: PretrainedConfig, layers: str) -> tuple[str, ...]:
    """The selected layers of a model; `last` alone needs no count of blocks.

    Raises:
        UnknownNameError: as for `resolve_layers`.
        ModelError: as for `count_blocks`.
    """
    return ("last",) if layers.strip() == "last" else resolve_layers(layers, count_blocks(config))


def layers_before(config: PretrainedConfig, layers: Sequence[str]) -> dict[str, str]:
    """For each layer, the previous layer if that is selected too: k - 1 for k, and L - 1 for `last`.

    `last` is block L of L after the final norm, so the previous layer is the output of block L - 1.

    Raises:
        ModelError: as for `count_blocks`, which `last` alone does not need.
    """
    if tuple(layers) == ("last",):
        return {}
    blocks = count_blocks(config)
    before = {layer: str((blocks if layer == "last" else int(layer)) - 1) for layer in layers}
    return {layer: earlier for layer, earlier in before.items() if earlier in layers}


def resolve_layers(layers: str, blocks: int) -> tuple[str, ...]:
    """The selected layers, in order of depth, without duplicates.

    `first` is the output of block 1 and `middle` that of block L // 2 of L. `all` is the sequence of
    transformers' `hidden_states`: 0 to L - 1, then `last`, the last block after the final norm. A negative
    index counts from the end of that sequence, so -1 is `last`; L alone is the output of the last block
    before the norm.

    Raises:
        UnknownNameError: a name that is not a layer, or an index out of range.
    """
    sequence = [*map(str, range(blocks)), "last"]
    named = {"last": ["last"], "first": ["1"], "middle": [str(max(1, blocks // 2))], "all": sequence}
    chosen: set[str] = set()
    for part in (part.strip() for part in layers.split(",")):
        if part in named:
            chosen.update(named[part])
        elif part.removeprefix("-").isdecimal() and -len(sequence) <= int(part) <= blocks:
            chosen.add(sequence[int(part)] if int(part) < 0 else str(int(part)))
        else:
            known = (*_NAMED, f"0 to {blocks}", f"-1 to -{len(sequence)}")
            raise UnknownNameError(f"layer (of a model with {blocks} blocks)", part, known)
    return tuple(sorted(chosen, key=lambda layer: blocks + 1 if layer == "last" else int(layer)))
