"""Responses: what an instruct model writes when it is prompted, by plain temperature sampling."""

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
        """Its own, within its data set."""

    @property
    def text(self) -> str:
        """What the user says."""


@dataclass(frozen=True)
class GenerationSettings:
    """How responses are sampled.

    Attributes:
        max_new_tokens: the longest response.
        temperature: logits are divided by it; 0 takes the likeliest token each time.
        seed: of all responses; each prompt draws from a stream of its own.
        batch_size: prompts answered at once.
    """

    max_new_tokens: int = 1000
    temperature: float = 0.7
    seed: int = 0
    batch_size: int = 8

    def __post_init__(self) -> None:
        for name in ("max_new_tokens", "batch_size"):
            if getattr(self, name) < 1:
                raise SettingsError(f"{name} is a whole number of at least 1, got {getattr(self, name)}")
        if not 0 <= self.temperature < float("inf"):
            raise SettingsError(f"temperature is a number of at least 0, got {self.temperature}")


@dataclass(frozen=True)
class Response:
    """What a model answered.

    Attributes:
        id: the prompt's.
        prompt: its text, without the chat template.
        text: the response, without special tokens.
        tokens: how many were generated, the stop token left out.
        finished: False where `max_new_tokens` ended it instead of a stop token.
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
    """Answers prompts batch by batch, in their order but for those that cannot be answered.

    A prompt is one user's turn in the tokenizer's chat template, or the plain text where it has none. Tokens are
    drawn from `softmax(logits / temperature)`; of the model's own generation configuration only the stop tokens
    are used, no top-k, top-p or penalties. The draw is the largest of `logits / temperature + Gumbel noise`
    (Maddison, Tarlow, Minka 2014, arXiv 1411.0030, section 2), the noise from a generator that is seeded by the
    settings' seed and the prompt's id. So a response depends neither on the order of prompts nor on those in its
    batch, but for rounding: padding moves logits in their last digits, which can turn a draw that is nearly a tie,
    rarely in float32 and more often in 16 bits. Another device draws other noise.

    Args:
        network: a causal language model in eval mode.
        tokenizer: its own.
        prompts: each with an id of its own.
        settings: how to sample.

    Yields:
        A response for each prompt; or an unanswered prompt where prompt and `max_new_tokens` exceed the
        model's positions, or where there is no token at all.

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
    """Token ids of one user's turn in the chat template, or of the plain text where there is none."""
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
        # Written out, so that nothing of the model's own generation configuration takes their place.
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
    """The generation configuration's; the tokenizer's end of text where it has none."""
    stops = network.generation_config.eos_token_id
    if stops is None:
        stops = tokenizer.eos_token_id
    if stops is None:
        return []
    return [stops] if isinstance(stops, int) else list(stops)


class _GumbelNoise:
    """Makes the largest logit a draw from `softmax(logits / temperature)`, each row from its own generator."""

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
        # The logarithm of an exponential variable is Gumbel noise with its sign turned.
        return scores.float() / self._temperature - noise.log()


def _seed_of(seed: int, name: str) -> int:
    digest = hashlib.sha256(f"{seed}\0{name}".encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big") >> 1
