"""Responses: what an instruct model generates for a prompt, by plain temperature sampling."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor

from rankscope.errors import RankscopeError, SettingsError, first_line
from rankscope.models.positions import positions_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from transformers import PreTrainedModel, PreTrainedTokenizerBase


class Prompt(Protocol):
    """Something with an id and a text, such as a `Text` of a data set."""

    @property
    def id(self) -> str:
        """Unique within its data set."""

    @property
    def text(self) -> str:
        """The user's message."""


@dataclass(frozen=True)
class GenerationSettings:
    """How responses are sampled.

    Attributes:
        max_new_tokens: maximum length of a response.
        temperature: logits are divided by it; 0 always takes the most likely token.
        seed: of all responses; each prompt has its own random stream.
        batch_size: number of prompts answered at once.
    """

    max_new_tokens: int = 1000
    temperature: float = 0.7
    seed: int = 0
    batch_size: int = 8

    def __post_init__(self) -> None:
        for name in ("max_new_tokens", "batch_size"):
            if getattr(self, name) < 1:
                raise SettingsError(f"{name} must be an integer of at least 1, got {getattr(self, name)}")
        if not 0 <= self.temperature < float("inf"):
            raise SettingsError(f"temperature must be at least 0, got {self.temperature}")


@dataclass(frozen=True)
class Response:
    """A model's answer.

    Attributes:
        id: the prompt's.
        prompt: its text, without the chat template.
        text: the response, without special tokens.
        tokens: number of generated tokens, excluding the stop token.
        finished: False if it was ended by `max_new_tokens` instead of a stop token.
    """

    id: str
    prompt: str
    text: str
    tokens: int
    finished: bool


@dataclass(frozen=True)
class UnansweredPrompt:
    """A prompt that the model cannot answer, and why."""

    id: str
    prompt: str
    reason: str


@dataclass(frozen=True)
class _EncodedPrompt:
    id: str
    text: str
    tokens: list[int]


def generate(
    network: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Iterable[Prompt],
    settings: GenerationSettings,
) -> Iterator[Response | UnansweredPrompt]:
    """Answers prompts batch by batch, in order except for those that cannot be answered.

    A prompt is one user turn in the tokenizer's chat template, or the plain text if there is no template. Tokens are
    drawn from `softmax(logits / temperature)`; from the model's own generation configuration only the stop tokens are
    used, no top-k, top-p or penalties. The drawn token has the largest `logits / temperature + Gumbel noise`
    (Maddison, Tarlow, Minka 2014, arXiv 1411.0030, section 2), with noise from a generator seeded by the settings'
    seed and the prompt's id. So a response depends neither on the order of prompts nor on the rest of its batch, up to
    rounding: padding changes the last digits of logits, which can flip a near tie, rarely in float32 and more often in
    16 bits. Noise differs between devices.

    Args:
        network: a causal language model in eval mode.
        tokenizer: its own.
        prompts: with unique ids.
        settings: how to sample.

    Yields:
        A response for each prompt; or an unanswered prompt if prompt and `max_new_tokens` exceed the
        model's positions, or if the prompt has no tokens.

    Raises:
        RankscopeError: the device ran out of memory.
    """
    waiting: list[_EncodedPrompt] = []
    for prompt in prompts:
        encoded = _EncodedPrompt(prompt.id, prompt.text, encode_prompt(tokenizer, prompt.text))
        if reason := _unusable(encoded, positions_of(network.config), settings):
            yield UnansweredPrompt(prompt.id, prompt.text, reason)
            continue
        waiting.append(encoded)
        if len(waiting) == settings.batch_size:
            yield from _answer(network, tokenizer, waiting, settings)
            waiting = []
    if waiting:
        yield from _answer(network, tokenizer, waiting, settings)


def encode_prompt(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    """Token ids of one user turn in the chat template, or of the plain text if there is no template."""
    if not tokenizer.chat_template:
        return list(tokenizer(text)["input_ids"])
    turns = [{"role": "user", "content": text}]
    written = tokenizer.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)
    return list(tokenizer(written, add_special_tokens=False)["input_ids"])


def _unusable(prompt: _EncodedPrompt, positions: int | None, settings: GenerationSettings) -> str | None:
    if not prompt.tokens:
        return "no tokens"
    if positions is not None and len(prompt.tokens) + settings.max_new_tokens > positions:
        return (
            f"{len(prompt.tokens)} tokens of prompt and {settings.max_new_tokens} of response "
            f"exceed the model's {positions} positions"
        )
    return None


@torch.inference_mode()
def _answer(
    network: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[_EncodedPrompt],
    settings: GenerationSettings,
) -> list[Response]:
    from transformers import GenerationConfig

    stops = _stop_tokens(network, tokenizer)
    device = next(network.parameters()).device
    input_ids, mask = _padded_left([prompt.tokens for prompt in prompts])
    plain = GenerationConfig(
        max_new_tokens=settings.max_new_tokens,
        eos_token_id=stops or None,
        pad_token_id=stops[0] if stops else 0,
        # Given explicitly, so that the model's own generation configuration is not used instead.
        do_sample=False,
        num_beams=1,
        temperature=1.0,
        top_k=50,
        top_p=1.0,
        repetition_penalty=1.0,
        no_repeat_ngram_size=0,
    )
    noise = [_GumbelNoise(settings, [prompt.id for prompt in prompts])] if settings.temperature else []
    try:
        output = network.generate(
            input_ids=input_ids.to(device),
            attention_mask=mask.to(device),
            generation_config=plain,
            logits_processor=noise,
        )
    except torch.OutOfMemoryError as error:
        raise RankscopeError(
            f"out of memory on {len(prompts)} prompts of up to {input_ids.shape[1]} tokens: lower the batch size, "
            f"or use bfloat16 ({first_line(error)})"
        ) from error
    responses = []
    for prompt, new in zip(prompts, output[:, input_ids.shape[1] :].tolist(), strict=True):
        length = next((place for place, token in enumerate(new) if token in stops), None)
        text = tokenizer.decode(new[:length], skip_special_tokens=True)
        count = len(new) if length is None else length
        responses.append(Response(prompt.id, prompt.text, text, count, finished=length is not None))
    return responses


def _padded_left(rows: list[list[int]]) -> tuple[Tensor, Tensor]:
    """Token ids and mask, (rows, longest); the mask, not the id, marks padding."""
    longest = max(len(row) for row in rows)
    ids = torch.tensor([[0] * (longest - len(row)) + row for row in rows])
    mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in rows])
    return ids, mask


def _stop_tokens(network: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """The stop tokens of the generation configuration; the tokenizer's end of text if it has none."""
    stops = network.generation_config.eos_token_id
    if stops is None:
        stops = tokenizer.eos_token_id
    if stops is None:
        return []
    return [stops] if isinstance(stops, int) else list(stops)


class _GumbelNoise:
    """Makes the largest logit a draw from `softmax(logits / temperature)`, with one generator per row."""

    def __init__(self, settings: GenerationSettings, ids: list[str]) -> None:
        self._temperature = settings.temperature
        self._seeds = [_seed_of(settings.seed, name) for name in ids]
        self._generators: list[torch.Generator] = []

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:  # noqa: ARG002 (transformers' signature)
        if not self._generators:
            self._generators = [torch.Generator(scores.device).manual_seed(seed) for seed in self._seeds]
        noise = torch.empty(scores.shape, dtype=torch.float32, device=scores.device)
        for row, generator in zip(noise, self._generators, strict=True):
            row.exponential_(generator=generator)
        # The negated logarithm of an exponential variable is Gumbel noise.
        return scores.float() / self._temperature - noise.log()


def _seed_of(seed: int, name: str) -> int:
    digest = hashlib.sha256(f"{seed}\0{name}".encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big") >> 1
