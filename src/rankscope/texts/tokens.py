"""Encodes texts and conversations with a model's tokenizer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from rankscope.errors import DataError, ModelError
from rankscope.texts.beginnings import Beginnings

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from rankscope.texts.text import Message, Text

_AT_ONCE = 1000
_CHARACTERS_AT_ONCE = 1 << 21
"""Limit per tokenizer call, which needs about a hundred bytes per token until it returns."""
_PROBES = ("a", "the", "1", ".", "\u4e00")


@dataclass(frozen=True)
class SpecialTokens:
    """The token ids that a tokenizer adds before and after every text."""

    before: tuple[int, ...] = ()
    after: tuple[int, ...] = ()

    def __len__(self) -> int:
        return len(self.before) + len(self.after)

    def around(self, body: Sequence[int]) -> list[int]:
        """Adds the special tokens to a part of a text."""
        return [*self.before, *body, *self.after]

    def those_of(self, ids: Sequence[int]) -> SpecialTokens:
        """The subset that a text has: a chat template may write other special tokens, or none."""
        before = self.before if tuple(ids[: len(self.before)]) == self.before else ()
        rest = ids[len(before) :]
        after = self.after if tuple(rest[len(rest) - len(self.after) :]) == self.after else ()
        return SpecialTokens(before, after)

    def off(self, ids: Sequence[int]) -> Sequence[int]:
        """Removes the special tokens from a text that has all of them."""
        return ids[len(self.before) : len(ids) - len(self.after)]


def special_tokens_of(tokenizer: PreTrainedTokenizerBase) -> SpecialTokens | None:
    """The tokens that a tokenizer adds around every text; None if it does anything else.

    Short texts are encoded with and without special tokens. Attributes such as `add_bos_token` are not used: fast and
    slow tokenizers, and those with their own template, follow different ones.
    """
    for probe in _PROBES:
        whole = list(tokenizer(probe)["input_ids"])
        body = list(tokenizer(probe, add_special_tokens=False)["input_ids"])
        if not body:  # the tokenizer has no token for this probe
            continue
        for start in range(len(whole) - len(body) + 1):
            if whole[start : start + len(body)] == body:
                return SpecialTokens(tuple(whole[:start]), tuple(whole[start + len(body) :]))
    return None


def check_chat_template(tokenizer: PreTrainedTokenizerBase, model: str) -> None:
    """Checks that a tokenizer can write conversations.

    Raises:
        ModelError: the tokenizer has no chat template.
    """
    if not tokenizer.chat_template:
        raise ModelError(f"the tokenizer of {model} has no chat template: omit --chat, or use the instruct model")


def write_conversation(tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message]) -> str:
    """A conversation as written by the tokenizer's chat template, including special tokens.

    Raises:
        DataError: the template does not accept these messages.
    """
    turns = [dict(message) for message in messages]
    try:
        return str(tokenizer.apply_chat_template(turns, tokenize=False))
    except Exception as error:  # a template is a program and can raise anything
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"the chat template does not accept these messages: {reason}") from error


@dataclass(frozen=True)
class Encoded:
    """A text as token ids.

    Attributes:
        tokens: all tokens, or the first ones of a long text.
        is_whole: whether `tokens` is complete.
    """

    tokens: list[int]
    is_whole: bool = True


@dataclass(frozen=True)
class Encoder:
    """Encodes texts, and conversations as written by the tokenizer's chat template.

    Attributes:
        tokenizer: the model's own.
        special_tokens: whether to add special tokens to texts. In a conversation, the template adds them.
        enough: how many tokens of a text are needed; None for all.
    """

    tokenizer: PreTrainedTokenizerBase
    special_tokens: bool = True
    enough: int | None = None

    def encode(self, texts: Iterable[Text]) -> Iterator[tuple[Text, Encoded | DataError]]:
        """Each text with its tokens, or with the error if the chat template does not accept its messages.

        Texts are read as tokens are requested, in batches of one tokenizer call.
        """
        for some in _in_portions(texts):
            yield from zip(some, self._encode(some), strict=True)

    def _encode(self, texts: Sequence[Text]) -> list[Encoded | DataError]:
        """Encodes very long texts one by one, and the others in one tokenizer call, which is fastest."""
        found: dict[int, Encoded | DataError] = {}
        waiting: dict[bool, dict[int, str]] = {True: {}, False: {}}
        for place, text in enumerate(texts):
            special_tokens = self.special_tokens and not text.messages
            try:
                written = write_conversation(self.tokenizer, text.messages) if text.messages else text.text
            except DataError as error:
                found[place] = error
                continue
            beginning = None
            if self.enough is not None:
                beginning = self._beginnings.of(written, self.enough, special_tokens=special_tokens)
            if beginning is None:
                waiting[special_tokens][place] = written
            else:
                found[place] = Encoded(beginning, is_whole=False)
        for special_tokens, strings in waiting.items():
            if strings:
                ids = self.tokenizer(
                    list(strings.values()),
                    add_special_tokens=special_tokens,
                    return_attention_mask=False,
                    verbose=False,
                )["input_ids"]
                found |= {place: Encoded(list(one)) for place, one in zip(strings, ids, strict=True)}
        return [found[place] for place in range(len(texts))]

    @cached_property
    def _beginnings(self) -> Beginnings:
        return Beginnings(self.tokenizer)


def _in_portions(texts: Iterable[Text]) -> Iterator[list[Text]]:
    """Lists of consecutive texts, each limited in number and length for one tokenizer call."""
    portion: list[Text] = []
    characters = 0
    for text in texts:
        portion.append(text)
        characters += len(text.text)
        if len(portion) == _AT_ONCE or characters >= _CHARACTERS_AT_ONCE:
            yield portion
            portion, characters = [], 0
    if portion:
        yield portion
