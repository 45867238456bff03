"""From texts and conversations to token ids, by a model's own tokenizer."""

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
"""A tokenizer keeps about a hundred bytes for each token of a call until the call is over."""
_PROBES = ("a", "the", "1", ".", "\u4e00")


@dataclass(frozen=True)
class SpecialTokens:
    """What a tokenizer puts around every text: token ids before it and after it."""

    before: tuple[int, ...] = ()
    after: tuple[int, ...] = ()

    def __len__(self) -> int:
        return len(self.before) + len(self.after)

    def around(self, body: Sequence[int]) -> list[int]:
        """A part of a text, beginning and ending as a text does."""
        return [*self.before, *body, *self.after]

    def those_of(self, ids: Sequence[int]) -> SpecialTokens:
        """Those of them that a text has: a chat template may write others, or none."""
        before = self.before if tuple(ids[: len(self.before)]) == self.before else ()
        rest = ids[len(before) :]
        after = self.after if tuple(rest[len(rest) - len(self.after) :]) == self.after else ()
        return SpecialTokens(before, after)

    def off(self, ids: Sequence[int]) -> Sequence[int]:
        """What is left of a text that has all of them."""
        return ids[len(self.before) : len(ids) - len(self.after)]


def special_tokens_of(tokenizer: PreTrainedTokenizerBase) -> SpecialTokens | None:
    """What a tokenizer puts around every text; None if it does more than to put the same tokens around.

    Short texts are encoded with special tokens and without. No attribute such as `add_bos_token` is asked: fast and
    slow tokenizers, and those with a template of their own, follow different ones.
    """
    for probe in _PROBES:
        whole = list(tokenizer(probe)["input_ids"])
        body = list(tokenizer(probe, add_special_tokens=False)["input_ids"])
        if not body:  # no token for this probe
            continue
        for start in range(len(whole) - len(body) + 1):
            if whole[start : start + len(body)] == body:
                return SpecialTokens(tuple(whole[:start]), tuple(whole[start + len(body) :]))
    return None


def check_chat_template(tokenizer: PreTrainedTokenizerBase, model: str) -> None:
    """Says so where a tokenizer cannot write conversations.

    Raises:
        ModelError: it has no chat template.
    """
    if not tokenizer.chat_template:
        raise ModelError(f"the tokenizer of {model} has no chat template: leave --chat out, or take its instruct model")


def write_conversation(tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message]) -> str:
    """A conversation as the tokenizer's chat template writes it, special tokens and all.

    Raises:
        DataError: the template does not take these messages.
    """
    turns = [dict(message) for message in messages]
    try:
        return str(tokenizer.apply_chat_template(turns, tokenize=False))
    except Exception as error:  # a template is a program, which raises what it likes
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"the chat template does not take these messages: {reason}") from error


@dataclass(frozen=True)
class Encoded:
    """A text as token ids.

    Attributes:
        tokens: all of them, or the first ones of a long text.
        is_whole: whether these are all.
    """

    tokens: list[int]
    is_whole: bool = True


@dataclass(frozen=True)
class Encoder:
    """Encodes texts, and conversations as written by the tokenizer's chat template.

    Attributes:
        tokenizer: the model's own.
        special_tokens: whether it puts its special tokens around texts. Those of a conversation are the template's.
        enough: how many tokens are needed of a text; None for all.
    """

    tokenizer: PreTrainedTokenizerBase
    special_tokens: bool = True
    enough: int | None = None

    def encode(self, texts: Iterable[Text]) -> Iterator[tuple[Text, Encoded | DataError]]:
        """Each text with its tokens, or with why the chat template does not take its messages.

        Texts are read as the tokens are asked for, so many at a time as one call of the tokenizer takes.
        """
        for some in _in_portions(texts):
            yield from zip(some, self._encode(some), strict=True)

    def _encode(self, texts: Sequence[Text]) -> list[Encoded | DataError]:
        """Very long texts one by one, others in one call of the tokenizer, which is then fastest."""
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
    """Lists of neighbouring texts, no more and no longer than one call of a tokenizer takes."""
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
