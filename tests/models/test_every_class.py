"""Every class of transformers' causal mapping is measured as its own forward pass computes it, or refused.

The reference is a plain forward pass of one unpadded text, watched by hooks of this file.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from every_class import LONGEST, MODEL_TYPES, tiny_config, tiny_model
from rankscope.errors import RankscopeError
from rankscope.models import Batch, Network, check_padding, examine, forward, layers_of
from rankscope.models.positions import positions_of

pytestmark = pytest.mark.slow

CANNOT_BE_BUILT = {
    "gemma3n": "timm",
    "musicgen": "no attribute 'dropout'",
    "musicgen_melody": "no attribute 'dropout'",
}
"""Not from a configuration alone: transformers' own constructor fails."""

REFUSED = {
    "gemma4_assistant": "does not run on token ids alone",
    "gemma4_unified_assistant": "does not run on token ids alone",
    "prophetnet": "layer 'last' is not defined",
}
LAST_ALONE = {
    "blt": "the configuration does not give the number of blocks",
    "cpmant": "do not pass on one hidden state per token",
    "reformer": "do not pass on one hidden state per token",
}
"""Between their blocks there is no state for each token: bytes in patches, a prompt in front, padded chunks."""

OTHER_TUPLES = {"falcon_mamba", "mamba", "mamba2", "rwkv", "xlm"}
"""Their own `hidden_states` leave the embeddings out, or are taken inside a block."""

_DRAWN = torch.Generator().manual_seed(0)
LONG, SHORT = (torch.randint(5, 290, (length,), generator=_DRAWN).tolist() for length in (29, 13))


@dataclass
class Plain:
    """What a plain forward pass shows."""

    states: list[Tensor]  # into the first block, out of the first, the second, ...
    head_input: Tensor | None
    loss: float
    own: tuple[Tensor, ...] | None


@torch.no_grad()
def plain(network: Network, ids: list[int]) -> Plain:
    model = network.model
    states: list[Tensor] = []
    heads: list[Tensor] = []

    def before(_block: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if not states:
            states.append(kwargs["hidden_states"] if "hidden_states" in kwargs else args[0])

    def after(_block: nn.Module, _args: Any, output: Any) -> None:
        states.append(output if isinstance(output, Tensor) else output[0])

    handles = []
    for block in dict.fromkeys(network.blocks):
        handles += [block.register_forward_pre_hook(before, with_kwargs=True), block.register_forward_hook(after)]
    handles.append(model.get_output_embeddings().register_forward_pre_hook(lambda _, args: heads.append(args[0])))
    output = model(input_ids=torch.tensor([ids]), use_cache=False, output_hidden_states=True)
    for handle in handles:
        handle.remove()
    loss = nn.functional.cross_entropy(output.logits[0, :-1], torch.tensor(ids[1:]))
    (head_input,) = heads
    own = getattr(output, "hidden_states", None)
    return Plain(
        [for_each_token(one, len(ids)) for one in states], for_each_token(head_input, len(ids)), float(loss), own
    )


def for_each_token(states: Tensor, tokens: int) -> Tensor:
    """(tokens, d): the axis of one text is dropped, streams are averaged."""
    token_axis = list(states.shape).index(tokens)
    states = states.movedim(token_axis, 0)
    return states.flatten(1, -2).mean(dim=1)


def measured(network: Network, texts: list[list[int]]) -> tuple[dict[str, list[Tensor]], list[float] | None]:
    layers = layers_of(network.model.config, f"all,{len(network.blocks)}") if network.blocks else ("last",)
    whole = Batch.of(texts)
    found: dict[str, list[Tensor]] = {layer: [torch.empty(0)] * len(texts) for layer in layers}
    losses: list[float] = []
    for part in network.parts(whole.lengths):

        def keep(layer: str, states: list[Tensor], part: list[int] = part) -> None:
            for text, state in zip(part, states, strict=True):
                found[layer][text] = state.clone()

        of_part = forward(network, whole.select(part), layers, keep)
        losses += [] if of_part is None else of_part.tolist()
    return found, losses or None


def close(one: Tensor, other: Tensor) -> bool:
    apart = torch.linalg.vector_norm(one.double() - other.double())
    return one.shape == other.shape and bool(apart <= 1e-4 * torch.linalg.vector_norm(other.double()))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_a_class_is_measured_as_it_computes_or_refused(model_type: str) -> None:
    if model_type in CANNOT_BE_BUILT:
        with pytest.raises(Exception, match=CANNOT_BE_BUILT[model_type]):
            tiny_model(model_type)
        return
    model = tiny_model(model_type)
    if model_type in REFUSED:
        with pytest.raises(RankscopeError, match=REFUSED[model_type]):
            measured(examine(model), [LONG])
        return
    network = check_padding(examine(model), LONG, SHORT)
    if model_type in LAST_ALONE:
        assert LAST_ALONE[model_type] in str(network.fault)
    else:
        assert network.fault is None
        assert len(network.blocks) >= 3
    found, losses = measured(network, [LONG, SHORT])
    assert (losses is None) == (not network.causal)
    for text, ids in enumerate((LONG, SHORT)):
        reference = plain(network, ids)
        assert close(found["last"][text], reference.head_input)
        for layer, states in enumerate(reference.states):
            assert close(found[str(layer)][text], states), layer
        if losses is not None:
            assert losses[text] == pytest.approx(reference.loss, abs=1e-4)
        if model_type not in OTHER_TUPLES and reference.own and len(reference.own) == len(network.blocks) + 1:
            for layer in range(len(network.blocks)):
                assert close(found[str(layer)][text], for_each_token(reference.own[layer], len(ids))), layer
    changed, _ = measured(network, [[*LONG[:-1], LONG[0]]])
    alone, _ = measured(network, [LONG])
    moved = {layer for layer in alone if not close(changed[layer][0][:-1], alone[layer][0][:-1])}
    assert bool(moved) != network.causal


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("model_type", [name for name in MODEL_TYPES if name not in (*CANNOT_BE_BUILT, *REFUSED)])
def test_the_longest_text_that_a_configuration_allows_runs(model_type: str) -> None:
    longest = positions_of(tiny_config(model_type))
    if longest is not None and longest <= LONGEST:
        ids = (LONG * 3)[:longest]
        measured(examine(tiny_model(model_type)), [ids])
