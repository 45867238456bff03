"""The forward pass of a vision-language model, captured at four places.

Hooks are attached to the model's own modules during its own forward method, so the captured states are the model's:
the connector's input, the embeddings that enter the language model, the output of each of its blocks, and the output
of its final norm, which is the head's input.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from rankscope.errors import ModelError
from rankscope.metrics import token_losses
from rankscope.models.layers import find_blocks
from rankscope.models.vision_language.families import module_at

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from rankscope.models.vision_language.families import Family
    from rankscope.models.vision_language.inputs import ModelInput

OnLayer = Callable[[int, Tensor], None]
"""Called with a layer's number, from 1, and all positions' hidden states, (tokens, d)."""


@dataclass(frozen=True)
class Seen:
    """The result of one forward pass.

    Attributes:
        after_encoder: image tokens from the vision encoder, (tokens, d); None without an image.
        after_connector: image tokens as they enter the language model, (tokens, d); None without an image.
        hidden: last hidden states of the language model, after its final norm, at every position, (tokens, d).
        loss: mean cross-entropy of the response's tokens in nats; None without a response.
    """

    after_encoder: Tensor | None
    after_connector: Tensor | None
    hidden: Tensor
    loss: float | None


@dataclass(frozen=True)
class VisionLanguageNetwork:
    """A vision-language model in memory, and the location of its parts."""

    model: PreTrainedModel
    family: Family

    @property
    def left_over(self) -> tuple[str, ...]:
        """Weights in the model's files that the model does not use."""
        return tuple(getattr(self.model, "left_over", ()))

    def watch(self, given: ModelInput, on_layer: OnLayer | None = None) -> Seen:
        """See `watch_forward`."""
        return watch_forward(self.model, self.family, given, on_layer)


@torch.inference_mode()
def watch_forward(model: PreTrainedModel, family: Family, given: ModelInput, on_layer: OnLayer | None = None) -> Seen:
    """Runs a model on one sequence.

    Args:
        model: in eval mode, on its device.
        family: location of its parts.
        given: its input.
        on_layer: called for each block of the language model but the last, then for the output of the final norm.

    Raises:
        ModelError: the model does not match its family's description.
    """
    device = next(model.parameters()).device
    caught: dict[str, Tensor] = {}
    with ExitStack() as stack:
        stack.enter_context(_watched(model, family, caught))
        if on_layer is not None:
            stack.enter_context(_watched_blocks(module_at(model, family.language_model), on_layer))
        logits = model(**_arguments(family, given, device), logits_to_keep=given.response + 1, use_cache=False).logits
    if "hidden" not in caught or "embeddings" not in caught:
        raise ModelError(f"{type(model).__name__}: no hidden states passed through {family.language_model}")
    hidden = caught["hidden"]
    if on_layer is not None:
        on_layer(len(find_blocks(module_at(model, family.language_model))), hidden)
    loss = None
    if given.response:
        targets = given.ids[-given.response :].to(logits.device)
        loss = float(token_losses(logits[0, :-1], targets).mean())
    if not given.image.any():
        return Seen(None, None, hidden, loss)
    if "encoder" not in caught:
        raise ModelError(f"{type(model).__name__}: no image passed through {family.connector}")
    embeddings = caught["embeddings"][given.image.to(caught["embeddings"].device)]
    return Seen(caught["encoder"].flatten(0, -2), embeddings, hidden, loss)


def _arguments(family: Family, given: ModelInput, device: torch.device) -> dict[str, Tensor]:
    ids = given.ids[None].to(device)
    arguments = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    arguments |= {name: tensor.to(device) for name, tensor in given.tensors.items()}
    if family.kinds is not None:
        kinds = torch.arange(len(given.ids)) >= len(given.ids) - given.response
        arguments[family.kinds] = (kinds if family.response_is_a_kind else given.image)[None].int().to(device)
    return arguments


@contextmanager
def _watched(model: nn.Module, family: Family, caught: dict[str, Tensor]) -> Iterator[None]:
    """Fills `caught` while the model runs; hooks are always removed."""

    def connector_enters(_module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        caught["encoder"] = args[0] if args else next(iter(kwargs.values()))

    def tower_leaves(_module: nn.Module, _args: Any, output: Any) -> None:
        caught["encoder"] = output[0][:, 1:]  # without the class token

    def language_model_enters(_module: nn.Module, _args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if kwargs.get("inputs_embeds") is not None:
            caught["embeddings"] = kwargs["inputs_embeds"][0]

    def language_model_leaves(_module: nn.Module, _args: Any, output: Any) -> None:
        caught["hidden"] = output[0][0]

    language_model = module_at(model, family.language_model)
    handles = [
        language_model.register_forward_pre_hook(language_model_enters, with_kwargs=True),
        language_model.register_forward_hook(language_model_leaves),
    ]
    if family.joins_before_connector:
        handles.append(module_at(model, family.tower).register_forward_hook(tower_leaves))
    else:
        connector = module_at(model, family.connector)
        handles.append(connector.register_forward_pre_hook(connector_enters, with_kwargs=True))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def _watched_blocks(language_model: nn.Module, on_layer: OnLayer) -> Iterator[None]:
    """Passes on the output of each block but the last, which is captured after the final norm."""

    def leaves(layer: int) -> Callable[[nn.Module, Any, Any], None]:
        def hand_over(_block: nn.Module, _args: Any, output: Any) -> None:
            on_layer(layer, (output if isinstance(output, Tensor) else output[0])[0])

        return hand_over

    blocks = find_blocks(language_model)
    handles = [block.register_forward_hook(leaves(layer)) for layer, block in enumerate(blocks[:-1], start=1)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
