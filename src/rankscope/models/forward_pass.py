"""One forward pass: hidden states are passed on layer by layer as they are computed, the loss in pieces.

The body of the network (its embeddings and blocks) runs once. The head then runs through the
model's own forward method on pieces of the body's output, so that everything that an architecture
does around its head (scaling, capping, casting) is applied, without tokens x vocabulary values at once.
Nothing runs beyond the deepest requested layer, unless other processes run the same pass in step.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from rankscope.errors import ForwardPassError, RankscopeError, first_line
from rankscope.metrics import token_losses
from rankscope.metrics.devices import places_of_tokens
from rankscope.models.arrangement import Arrangement, arrangement_of
from rankscope.models.backend import OnLayer

if TYPE_CHECKING:
    from rankscope.models.network import Batch, Network

_LOGITS_AT_ONCE = 1 << 25  # values: 128 MiB in float32


class _Enough(Exception):  # noqa: N818 (not an error: the rest of the network need not run)
    """Raised through the network once everything requested has been computed."""


@torch.no_grad()  # not inference mode: a network in training keeps some of these tensors, such as rotary tables
def forward(
    network: Network, batch: Batch, layers: tuple[str, ...], on_layer: OnLayer, *, loss: bool = True
) -> Tensor | None:
    """Runs a batch, passes each layer's hidden states to `on_layer`, and returns each text's loss.

    Args:
        network: from `examine`; the batch is one of its `parts`.
        batch: token ids; every text has at least two.
        layers: names from `resolve_layers`.
        on_layer: called exactly once for each layer, while its hidden states exist.
        loss: whether to compute losses.

    Returns:
        Mean cross-entropy of each text in nats per token, (texts,), on the device; None if not requested, or if the
        network is not causal.

    Raises:
        ForwardPassError: the network fails, or a layer's states do not match the batch's tokens.
    """
    handed: list[str] = []

    def hand_over(layer: str, states: list[Tensor]) -> None:
        if layer in handed:
            raise ForwardPassError(f"{network.name} ran layer {layer} twice in one forward pass")
        handed.append(layer)
        on_layer(layer, states)

    want_loss = loss and network.causal
    run = _Pass(network, batch, layers, hand_over, want_loss)
    try:
        losses = run.whole() if network.body is None else run.in_parts()
    except _Enough:
        losses = None
    except (RankscopeError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        if run.failed_outside:
            raise
        raise ForwardPassError(
            f"{network.name} failed on {len(batch.lengths)} texts of up to {max(batch.lengths)} tokens "
            f"({type(error).__name__}: {first_line(error)})"
        ) from error
    if missing := [layer for layer in layers if layer not in handed]:
        raise ForwardPassError(f"{network.name} did not run layer {missing[0]} in its forward pass")
    return losses


class _Pass:
    """One forward pass: what was requested, and what has been computed so far."""

    def __init__(
        self, network: Network, batch: Batch, layers: tuple[str, ...], hand_over: OnLayer, want_loss: bool
    ) -> None:
        self.network, self.layers, self.want_loss = network, layers, want_loss
        self.lengths = batch.lengths
        self.input_ids, self.mask = (_sent(one, network.device) for one in (batch.input_ids, batch.mask))
        self.failed_outside = False
        self._hand_over = hand_over
        self._failure: Exception | None = None

    @property
    def needs_head(self) -> bool:
        """Whether anything after the last block is requested."""
        return self.want_loss or "last" in self.layers

    def in_parts(self) -> Tensor | None:
        """Runs the body on the whole batch, then the head on pieces of its output."""
        body = self.network.body
        assert body is not None  # noqa: S101 (for the type checker)
        with self._watched_blocks():
            output = body(input_ids=self.input_ids, attention_mask=self.mask, use_cache=False)
        hidden = output[0]
        real = places_of_tokens(self.lengths, self.input_ids.shape[1], hidden.device)
        tokens = self.input_ids.to(hidden.device).flatten()[real]
        head_input, losses = self._head_in_pieces(output, hidden.flatten(0, 1)[real], tokens)
        if "last" in self.layers:
            self._hand("last", list(torch.split(head_input, list(self.lengths))))
        if losses is None:
            return None
        # The last token of a text predicts nothing; the next position is the next text's first token.
        return torch.stack([text[:-1].mean() for text in torch.split(losses, list(self.lengths))])

    def whole(self) -> Tensor | None:
        """Runs the model's own forward method on one text, including the head."""
        head = self.network.model.get_output_embeddings()
        with ExitStack() as stack:
            stack.enter_context(self._watched_blocks())
            if "last" in self.layers:
                if not isinstance(head, nn.Module) or isinstance(head, nn.ModuleList):
                    raise ForwardPassError(f"{self.network.name} has no single head, so its input cannot be captured")
                stack.enter_context(_hook(head.register_forward_pre_hook(self._take_head_input)))
            logits = self.network.model(input_ids=self.input_ids, attention_mask=self.mask, use_cache=False).logits
        if self._failure is not None:
            raise self._failure
        if not self.want_loss:
            return None
        return token_losses(logits[0, :-1], self.input_ids[0, 1:].to(logits.device)).mean()[None]

    def _take_head_input(self, _head: nn.Module, args: tuple[Any, ...]) -> None:
        texts, tokens = self.input_ids.shape
        arrangement = arrangement_of(args[0], texts, tokens)
        if arrangement not in (Arrangement.TEXTS_FIRST, Arrangement.TOKENS_FIRST):
            raise ForwardPassError(
                f"{self.network.name} passes {tuple(args[0].shape)} to its head for {texts} texts of {tokens} tokens: "
                "layer 'last' is not defined"
            )
        self._hand("last", arrangement.of_texts(args[0], self.lengths))
        if not self.want_loss and not self.network.in_step:
            raise _Enough

    def _head_in_pieces(self, output: Any, hidden: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor | None]:
        """The head's input and the loss of each next token, from the body's output for real tokens, (n, d)."""
        model, body = self.network.model, self.network.body
        assert body is not None  # noqa: S101 (for the type checker)
        head = model.get_output_embeddings()
        if head is None and not self.want_loss:
            return hidden, None  # a head without its own module uses the embedding matrix
        pieces: list[Tensor] = []
        losses: list[Tensor] = []
        targets = tokens.roll(-1)

        def take(_head: nn.Module, args: tuple[Any, ...]) -> None:
            pieces.append(args[0][0])
            if not self.want_loss:
                raise _Enough

        size = max(1, _LOGITS_AT_ONCE // vocabulary_size(model))
        with ExitStack() as stack:
            if head is not None:
                stack.enter_context(_hook(head.register_forward_pre_hook(take)))
            for start in range(0, len(hidden), size):
                piece = slice(start, start + size)
                with _body_returns(body, _with_hidden(output, hidden[None, piece])):
                    try:
                        logits = model(input_ids=tokens[None, piece], use_cache=False).logits[0]
                    except _Enough:
                        continue
                losses.append(token_losses(logits, targets[piece].to(logits.device)))
        return (torch.cat(pieces) if pieces else hidden), (torch.cat(losses) if losses else None)

    @contextmanager
    def _watched_blocks(self) -> Iterator[None]:
        """Hooks on the blocks up to the deepest requested layer; always removed."""
        wanted = {int(layer) for layer in self.layers if layer != "last"}
        if not wanted:
            yield
            return
        network = self.network
        if network.fault is not None or network.arrangement is None:
            raise ForwardPassError(f"{network.fault}: only --layers last can be measured")
        deepest = max(wanted)
        blocks = network.blocks[: max(1, deepest)]
        ran = 0

        def before(block: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            if ran < len(blocks) and block is not blocks[ran]:
                raise ForwardPassError(f"{network.name} ran its blocks in a different order than in its trial run")
            if ran == 0 and 0 in wanted:
                self._hand_block("0", given_to_block(args, kwargs))

        def after(_block: nn.Module, _args: Any, output: Any) -> None:
            nonlocal ran
            ran += 1
            if ran in wanted:
                self._hand_block(str(ran), output)
            if ran == deepest and not self.needs_head and not network.in_step:
                raise _Enough

        with ExitStack() as stack:
            for block in dict.fromkeys(blocks):
                stack.enter_context(_hook(block.register_forward_pre_hook(before, with_kwargs=True)))
                stack.enter_context(_hook(block.register_forward_hook(after)))
            yield

    def _hand_block(self, layer: str, candidates: Any) -> None:
        texts, tokens = self.input_ids.shape
        arrangement = self.network.arrangement
        assert arrangement is not None  # noqa: S101 (for the type checker)
        states = first_states(candidates)
        if states is None or not arrangement.holds(states, texts, tokens):
            raise ForwardPassError(
                f"{self.network.name}, layer {layer}: no hidden states of {texts} texts x {tokens} tokens "
                f"({arrangement.value})"
            )
        self._hand(layer, arrangement.of_texts(states, self.lengths))

    def _hand(self, layer: str, states: list[Tensor]) -> None:
        if self._failure is not None:
            return
        try:
            self._hand_over(layer, states)
        except Exception as error:
            self.failed_outside = True
            if not self.network.in_step:
                raise
            self._failure = error


def _sent(tensor: Tensor, device: torch.device) -> Tensor:
    """Starts copying a tensor to a device without waiting."""
    return (tensor.pin_memory() if device.type == "cuda" else tensor).to(device, non_blocking=True)


def first_states(candidates: Any) -> Tensor | None:
    """The hidden states among a block's inputs or outputs: the first numeric tensor with at least three axes."""
    if isinstance(candidates, Tensor):
        candidates = (candidates,)
    values = candidates.values() if isinstance(candidates, dict) else candidates
    tensors = (one for one in values if isinstance(one, Tensor))
    return next((one for one in tensors if one.dim() >= 3 and one.is_floating_point()), None)


def given_to_block(args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any]:
    """A block's inputs, hidden states first."""
    named = [kwargs["hidden_states"]] if "hidden_states" in kwargs else []
    return [*named, *args, *kwargs.values()]


def vocabulary_size(model: nn.Module) -> int:
    """The number of logits per token, from the head itself if there is one."""
    head = model.get_output_embeddings()  # type: ignore[operator]
    weight = getattr(head, "weight", None)
    shape = getattr(weight, "ds_shape", None) or getattr(weight, "shape", None)  # DeepSpeed hides sharded weights
    return int(shape[0]) if isinstance(weight, Tensor) and shape else int(model.config.get_text_config().vocab_size)  # type: ignore[union-attr,operator]


def _with_hidden(output: Any, hidden: Tensor) -> Any:
    """A copy of the body's output with different hidden states."""
    if isinstance(output, tuple):
        return (hidden, *output[1:])
    return type(output)(**{**output, "last_hidden_state": hidden})


@contextmanager
def _body_returns(body: nn.Module, output: Any) -> Iterator[None]:
    """In this context, calling the body returns the given output without computing anything."""
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
def _hook(handle: torch.utils.hooks.RemovableHandle) -> Iterator[None]:
    try:
        yield
    finally:
        handle.remove()
