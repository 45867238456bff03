"""One forward pass: hidden states are handed over layer by layer as they appear, the loss in pieces.

The body of the network (its embeddings and blocks) runs once. The head then runs through the
model's own forward method on pieces of the body's output, so that whatever an architecture does
around its head (scaling, capping, casting) is done, and tokens x vocabulary never exist at once.
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

if TYPE_CHECKING:
    from transformers import PreTrainedModel

OnLayer = Callable[[str, list[Tensor]], None]
"""Called with a layer's name and the hidden states (tokens, d) of each text of the batch."""

_LOGITS_AT_ONCE = 1 << 25  # numbers: 128 MiB in float32


@dataclass(frozen=True)
class Batch:
    """Texts as token ids, padded at the end.

    Attributes:
        input_ids: (texts, longest), int64.
        lengths: the number of real tokens of each text.
    """

    input_ids: Tensor
    lengths: tuple[int, ...]

    @classmethod
    def of(cls, texts: list[list[int]]) -> Batch:
        """Pads token ids with 0 at the end; the mask, not the id, marks padding."""
        rows = [torch.tensor(ids, dtype=torch.int64) for ids in texts]
        return cls(nn.utils.rnn.pad_sequence(rows, batch_first=True), tuple(len(ids) for ids in texts))

    @property
    def mask(self) -> Tensor:
        """1 where a token is real, (texts, longest), int64."""
        places = torch.arange(self.input_ids.shape[1])
        return (places[None, :] < torch.tensor(self.lengths)[:, None]).long()


@torch.inference_mode()
def forward(model: PreTrainedModel, batch: Batch, layers: tuple[str, ...], on_layer: OnLayer) -> list[float]:
    """Runs a batch, hands each layer's hidden states to `on_layer`, and returns each text's loss.

    Args:
        model: a causal language model, on its device and in the mode that is wanted.
        batch: token ids; every text has at least two.
        layers: names as `resolve_layers` gives them.
        on_layer: called once for each layer, while its hidden states exist.

    Returns:
        Mean cross-entropy of each text in nats per token.
    """
    device = next(model.parameters()).device
    input_ids, mask = batch.input_ids.to(device), batch.mask.to(device)

    def hand_over(layer: str, hidden: Tensor) -> None:
        on_layer(layer, [hidden[text, :length] for text, length in enumerate(batch.lengths)])

    body = model.get_decoder()
    with _watch_blocks(model, layers, hand_over):
        if body is model:
            raise ModelError(
                f"{type(model).__name__} does not separate its body from its head (get_decoder), "
                "so its head's input cannot be seen"
            )
        output = body(input_ids=input_ids, attention_mask=mask, use_cache=False)
    hidden = output[0]
    real = mask.to(hidden.device).bool()
    head_input, losses = _run_head(model, output, hidden[real], input_ids.to(hidden.device)[real])
    if "last" in layers:
        on_layer("last", list(torch.split(head_input, list(batch.lengths))))
    # The last token of a text has nothing to predict; its place holds the next text's first token.
    return [float(text[:-1].mean()) for text in torch.split(losses, list(batch.lengths))]


def _run_head(model: PreTrainedModel, output: Any, hidden: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
    """The head's input and the loss of each next token, from the body's output on real tokens, (n, d)."""
    pieces: list[Tensor] = []
    losses: list[Tensor] = []
    targets = tokens.roll(-1)
    size = max(1, _LOGITS_AT_ONCE // model.config.get_text_config().vocab_size)
    with ExitStack() as stack:
        head = model.get_output_embeddings()
        if head is not None:
            stack.enter_context(_hook(head.register_forward_pre_hook(lambda _, args: pieces.append(args[0][0]))))
        for start in range(0, len(hidden), size):
            piece = slice(start, start + size)
            with _body_returns(model.get_decoder(), _with_hidden(output, hidden[None, piece])):
                logits = model(input_ids=tokens[None, piece], use_cache=False).logits[0]
            losses.append(token_losses(logits, targets[piece].to(logits.device)))
    # A head without a module of its own works on the embedding matrix, directly after the body.
    return (torch.cat(pieces) if pieces else hidden), torch.cat(losses)


def _with_hidden(output: Any, hidden: Tensor) -> Any:
    """A copy of the body's output with other hidden states."""
    if isinstance(output, tuple):
        return (hidden, *output[1:])
    return type(output)(**{**output, "last_hidden_state": hidden})


@contextmanager
def _body_returns(body: nn.Module, output: Any) -> Iterator[None]:
    """Within it, calling the body returns the given output without computing anything."""
    own = body.__dict__.get("forward")
    body.forward = lambda *_args, **_kwargs: output
    try:
        yield
    finally:
        if own is None:
            del body.forward
        else:
            body.forward = own


@contextmanager
def _watch_blocks(
    model: PreTrainedModel, layers: tuple[str, ...], hand_over: Callable[[str, Tensor], None]
) -> Iterator[None]:
    """Hooks on the blocks whose layers were asked for; removed whatever happens."""
    wanted = [int(layer) for layer in layers if layer != "last"]
    blocks = find_blocks(model) if wanted else nn.ModuleList()

    def before(_block: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        hand_over("0", args[0] if args else kwargs["hidden_states"])

    def after(layer: int) -> Callable[[nn.Module, Any, Any], None]:
        def hand_over_output(_block: nn.Module, _args: Any, output: Any) -> None:
            hand_over(str(layer), output if isinstance(output, Tensor) else output[0])

        return hand_over_output

    with ExitStack() as stack:
        for layer in wanted:
            if layer == 0:
                handle = blocks[0].register_forward_pre_hook(before, with_kwargs=True)
            else:
                handle = blocks[layer - 1].register_forward_hook(after(layer))
            stack.enter_context(_hook(handle))
        yield


@contextmanager
def _hook(handle: torch.utils.hooks.RemovableHandle) -> Iterator[None]:
    try:
        yield
    finally:
        handle.remove()
