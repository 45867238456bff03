"""The trial run: how a network behaves on a few token ids, before its numbers are trusted.

The reference is the model's own forward method, called in the usual way. Everything that saves time or memory
afterwards (running the body apart from the head, several texts in a padded batch) must give the same hidden states
and losses on the trial text; otherwise the slower way is used.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from rankscope.errors import ForwardPassError, ModelError, RankscopeError, first_line
from rankscope.models.arrangement import Arrangement, arrangement_of
from rankscope.models.blocks import Call, block_calls, recorded_calls
from rankscope.models.forward_pass import first_states, forward, vocabulary_size
from rankscope.models.layers import count_blocks
from rankscope.models.network import Batch, Network
from rankscope.models.positions import regimes_of

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_TOKENS, _SHORT = 11, 7  # lengths of the trial texts; primes, so that their axis is recognisable in a tensor
_SAME = {4: 1e-3, 8: 1e-3}  # relative difference of two ways to compute the same states, by bytes per number
_SAME_IN_HALF = 0.05
_UNMOVED = {4: 1e-5, 8: 1e-5}  # relative difference of the same computation on two texts with the same beginning
_UNMOVED_IN_HALF = 4e-3


@torch.no_grad()
def examine(model: PreTrainedModel, *, as_a_whole: bool = False) -> Network:
    """Runs a network on a trial text and determines its blocks, its body, and how it reads a text.

    Takes at most six forward passes of 11 tokens, in eval mode; the network's mode and torch's generator are restored
    afterwards.

    Args:
        model: in memory.
        as_a_whole: call only the model itself: its parameters may be sharded over processes, which synchronise when it
            is called. Texts then run one by one.

    Raises:
        ModelError: the network does not run on token ids alone, returns no logits for them, or returns different
            hidden states each time.
    """
    training = model.training
    model.eval()
    try:
        with torch.random.fork_rng():
            return _examine(model, as_a_whole=as_a_whole)
    finally:
        model.train(training)


def _examine(model: PreTrainedModel, *, as_a_whole: bool) -> Network:
    ids = _trial_text(model)
    with recorded_calls(model) as calls:
        plain = _plain(model, ids)
    network = Network(model, None, regimes=regimes_of(model.config), in_step=as_a_whole)
    network = replace(network, causal=_is_causal(model, ids, plain))
    network = _with_blocks(network, calls)
    for body in () if as_a_whole else _possible_bodies(model):
        candidate = replace(network, body=body)
        if _agrees(candidate, plain, calls):
            return check_padding(candidate, ids, ids[:_SHORT])
    return network


@torch.no_grad()
def check_padding(network: Network, longer: Sequence[int], shorter: Sequence[int]) -> Network:
    """The network, with a `padding_fault` if a text's hidden states in a batch with a longer text differ from alone.

    The effect of padding can depend on lengths (sparse attention over compressed blocks, hashed chunks), so this
    is checked again for the texts of a run.
    """
    if network.body is None or network.padding_fault is not None or len(longer) == len(shorter):
        return network
    training = network.model.training
    network.model.eval()
    try:
        with torch.random.fork_rng():
            return replace(network, padding_fault=_padding_fault(network, list(longer), list(shorter)))
    finally:
        network.model.train(training)


@dataclass(frozen=True)
class _Plain:
    """The output of the model's own forward method for the trial text."""

    ids: list[int]
    logits: Tensor  # (tokens, vocabulary)
    head_input: Tensor | None  # (tokens, d)

    @property
    def loss(self) -> float:
        """Mean cross-entropy of the next token."""
        return float(nn.functional.cross_entropy(self.logits[:-1].float(), torch.tensor(self.ids[1:])))

    @property
    def states(self) -> Tensor:
        """The states that are compared between two readings of a text, (tokens, any)."""
        return self.logits if self.head_input is None else self.head_input


def _trial_text(model: PreTrainedModel) -> list[int]:
    """Ids spread over the vocabulary, without those that have a special meaning in the configuration."""
    embeddings = model.get_input_embeddings()
    rows = getattr(embeddings, "num_embeddings", None) or vocabulary_size(model)
    size = min(rows, vocabulary_size(model))
    special: set[object] = set()
    for config in (model.config, model.config.get_text_config()):
        special |= {value for name, value in config.to_dict().items() if name.endswith(("_id", "_index"))}
    usable = [token for token in range(min(size, 1 << 16)) if token not in special]
    if len(usable) < 2:
        raise ModelError(f"{type(model).__name__} has a vocabulary of {size}: too small to read a text")
    return [usable[(37 * place + 5) % len(usable)] for place in range(_TOKENS)]


def _plain(model: PreTrainedModel, ids: list[int]) -> _Plain:
    head_inputs: list[Tensor] = []
    head = model.get_output_embeddings()
    with ExitStack() as stack:
        if isinstance(head, nn.Module) and not isinstance(head, nn.ModuleList):
            handle = head.register_forward_pre_hook(lambda _, args: head_inputs.append(args[0]))
            stack.callback(handle.remove)
        try:
            output = model(input_ids=torch.tensor([ids], device=next(model.parameters()).device), use_cache=False)
        except torch.OutOfMemoryError:
            raise
        except Exception as error:
            raise ModelError(
                f"{type(model).__name__} does not run on token ids alone ({type(error).__name__}: {first_line(error)})"
            ) from error
    logits = getattr(output, "logits", None)
    if not isinstance(logits, Tensor) or logits.dim() != 3 or logits.shape[:2] != (1, len(ids)):
        shape = tuple(logits.shape) if isinstance(logits, Tensor) else "none"
        raise ModelError(f"{type(model).__name__} returns no logits for each of {len(ids)} tokens (shape: {shape})")
    found = [one for one in head_inputs if isinstance(one, Tensor)]
    of_tokens = arrangement_of(found[0], 1, len(ids)) if len(found) == 1 else None
    plain_axes = (Arrangement.TEXTS_FIRST, Arrangement.TOKENS_FIRST)
    states = of_tokens.of_texts(found[0], [len(ids)])[0] if of_tokens in plain_axes else None
    return _Plain(ids, logits[0].cpu(), states.cpu() if states is not None else None)


def _is_causal(model: PreTrainedModel, ids: list[int], plain: _Plain) -> bool:
    """Whether changing the last token leaves the states of all earlier ones unchanged."""
    changed = _plain(model, [*ids[:-1], ids[0]])
    if _stayed(changed.states[:-1], plain.states[:-1]):
        return True
    if not _stayed(_plain(model, ids).states[:-1], plain.states[:-1]):
        raise ModelError(
            f"{type(model).__name__} returns different hidden states each time it reads the same text: "
            "fix its seed in the configuration (hash_seed of Reformer), or disable sampling"
        )
    return False


def _stayed(one: Tensor, other: Tensor) -> bool:
    """Whether most tokens' states are unchanged; a few may change if rounding sends a token to another expert."""
    limit = _UNMOVED.get(other.element_size(), _UNMOVED_IN_HALF)
    one, other = _finite(one), _finite(other)
    apart = torch.linalg.vector_norm(one - other, dim=1)
    size = torch.linalg.vector_norm(other, dim=1).clamp_min(torch.finfo(torch.float64).tiny)
    return float((apart / size).median()) <= limit


def _with_blocks(network: Network, calls: list[Call]) -> Network:
    """Adds the blocks that ran, in order, and the arrangement of their states; or why they cannot be read."""
    steps = block_calls(network.model, calls)
    try:
        expected = count_blocks(network.model.config)
    except ModelError as error:
        return replace(network, fault=str(error))
    if not steps:
        return replace(network, fault=f"{network.name} has no list of {expected} blocks that run on a text")
    if len(steps) != expected:
        return replace(
            network, fault=f"{network.name} runs {len(steps)} blocks on a text, but its configuration says {expected}"
        )
    passed = [steps[0].given, *(step.output for step in steps)]
    found = {_arrangement_among(one) for one in passed}
    (arrangement,) = found if len(found) == 1 else (None,)
    if arrangement is None:
        return replace(network, fault=f"the blocks of {network.name} do not pass on one hidden state per token")
    return replace(network, blocks=tuple(step.module for step in steps), arrangement=arrangement)


def _arrangement_among(values: Any) -> Arrangement | None:
    states = first_states(values)
    return None if states is None else arrangement_of(states, 1, _TOKENS)


def _possible_bodies(model: PreTrainedModel) -> list[nn.Module]:
    """Modules that may be the network without its head, most likely first."""
    found: list[nn.Module] = []
    for candidate in (model.get_decoder(), model.base_model, getattr(model, "model", None)):
        if isinstance(candidate, nn.Module) and candidate is not model and all(candidate is not one for one in found):
            found.append(candidate)
    return found


def _agrees(network: Network, plain: _Plain, calls: list[Call]) -> bool:
    """Whether body and head run separately give the same result as the model."""
    blocks = len(network.blocks)
    layers = (*(str(layer) for layer in range(blocks + 1)), "last") if blocks else ("last",)
    seen: dict[str, Tensor] = {}
    try:
        losses = forward(
            network, Batch.of([plain.ids]), layers, lambda layer, states: seen.update({layer: states[0].cpu()})
        )
    except RankscopeError:
        return False  # not the body: try another candidate, or the model as a whole
    if plain.head_input is not None and not _same(seen["last"], plain.head_input):
        return False
    if losses is not None and abs(float(losses[0]) - plain.loss) > _tolerance(plain.logits) * max(1.0, plain.loss):
        return False
    steps = block_calls(network.model, calls)
    return all(
        _same(seen[str(place + 1)], _only_text(network, step.output)) for place, step in enumerate(steps) if blocks
    )


def _only_text(network: Network, output: Any) -> Tensor:
    states = first_states(output)
    if network.arrangement is None or states is None:
        raise ModelError(f"the blocks of {network.name} do not pass on hidden states")
    return network.arrangement.of_texts(states, [_TOKENS])[0].cpu()


def _padding_fault(network: Network, longer: list[int], shorter: list[int]) -> str | None:
    layers = (str(len(network.blocks)), "last") if network.blocks else ("last",)

    def states(texts: list[list[int]]) -> dict[str, Tensor]:
        """The states of the last text at each layer."""
        seen: dict[str, Tensor] = {}
        forward(
            network, Batch.of(texts), layers, lambda layer, hidden: seen.update({layer: hidden[-1].cpu()}), loss=False
        )
        return seen

    alone = states([shorter])
    try:
        padded = states([longer, shorter])
    except ForwardPassError as error:
        return f"fails on padded texts ({error})"
    shift = max(_relative(padded[layer], alone[layer]) for layer in layers)
    if shift <= _tolerance(alone["last"]):
        return None
    return f"gives a padded text different hidden states from the same text alone (relative difference {shift:.2g})"


def _relative(one: Tensor, other: Tensor) -> float:
    apart = torch.linalg.vector_norm(_finite(one) - _finite(other))
    size = torch.linalg.vector_norm(_finite(other))
    return float(apart / size) if size > 0 else float(apart)


def _finite(states: Tensor) -> Tensor:
    """Converts to float64, with zeros for non-finite values: measuring reports those, and names the layer."""
    return states.double().nan_to_num(0.0, 0.0, 0.0)


def _same(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and _relative(one, other) <= _tolerance(other)


def _tolerance(states: Tensor) -> float:
    return _SAME.get(states.element_size(), _SAME_IN_HALF)
