"""From texts to batches of token ids, the same for the same texts, tokenizer and settings."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from rankscope.errors import DataError, ModelError, SettingsError
from rankscope.texts import Encoded, Encoder, SpecialTokens, reorder_tokens, special_tokens_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from transformers import PreTrainedTokenizerBase

    from rankscope.settings import OnBadRow, Perturbation, Settings
    from rankscope.texts import Text, TextSet

FEWEST_TOKENS = 2
"""Of a text, so that it has a spectrum and a loss."""


@dataclass(frozen=True)
class PlannedText:
    """One text as token ids.

    Attributes:
        index: its place in the data set's order.
        id: the text's own; with the window's number where texts are cut into windows.
        tokens: the ids.
        is_cut: whether the text goes on after them.
    """

    index: int
    id: str
    tokens: tuple[int, ...]
    is_cut: bool = False


@dataclass(frozen=True)
class UnusableText:
    """One text that cannot be measured, and why; `n_tokens` is None where they were not all counted."""

    index: int
    id: str
    n_tokens: int | None
    reason: str


@dataclass(frozen=True)
class Plan:
    """What one model does with one set of texts.

    Attributes:
        batches: longest texts first, so that memory runs out at once or not at all.
        unusable: texts of too few or too many tokens, and those that were skipped to begin with.
    """

    batches: tuple[tuple[PlannedText, ...], ...]
    unusable: tuple[UnusableText, ...]

    def only(self, numbers: Collection[int]) -> Plan:
        """What is needed to measure the batches of these numbers, to be sent where they are measured.

        The other batches are empty, so each batch keeps its number. The unusable texts stay where the number behind
        the last batch is among those given.
        """
        kept = frozenset(numbers)
        batches = tuple(batch if number in kept else () for number, batch in enumerate(self.batches))
        return Plan(batches, self.unusable if len(self.batches) in kept else ())

    @property
    def cut(self) -> int:
        """How many texts are measured by their first tokens alone, because they are longer than allowed."""
        return sum(text.is_cut for batch in self.batches for text in batch)

    @cached_property
    def fingerprint(self) -> str:
        """sha256 over what a network would see: token ids, in which batches, and what is left out."""
        content = (
            [[[text.index, text.id, text.tokens] for text in batch] for batch in self.batches],
            [[text.index, text.id, text.reason] for text in self.unusable],
        )
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()

    @property
    def sizes(self) -> tuple[int, ...]:
        """Tokens of each batch, padding left out; behind them 0 for the unusable texts, if there are any."""
        read = (sum(len(text.tokens) for text in batch) for batch in self.batches)
        return (*read, *([0] if self.unusable else []))

    @property
    def tokens(self) -> int:
        """Tokens in all batches, padding left out."""
        return sum(self.sizes)

    def texts_of(self, number: int) -> list[int]:
        """The indices of the texts in a batch; the one behind the others holds the unusable ones."""
        if number == len(self.batches):
            return [text.index for text in self.unusable]
        return [text.index for text in self.batches[number]]

    @property
    def token_ids(self) -> list[list[tuple[int, ...]]]:
        """The ids of each text of each batch."""
        return [[text.tokens for text in batch] for batch in self.batches]


@dataclass(frozen=True)
class Layout:
    """How texts become token ids, and how long they and batches may be.

    Attributes:
        longest: longer texts are cut to their first so many ids. A special token that the tokenizer puts at a text's
            end goes with the rest: the text does not end there.
        window: cut every text into windows of so many tokens; what is left over at its end is dropped. Each window
            begins and ends as a text does, with the tokenizer's special tokens, which count among its tokens.
        batch: at most this many tokens in a batch, padding included; a longer text has a batch of its own.
            None: every text alone.
        perturbation: of the tokens of each text, after it was cut; one of words was applied to the texts before.
        special_tokens: whether the tokenizer's special tokens are put around texts and windows.
        skip_overlong: texts longer than `longest` are left out instead of cut.
        on_bad_row: messages that the chat template does not take are an error, or are left out.
    """

    longest: int
    window: int | None = None
    batch: int | None = None
    perturbation: Perturbation | None = None
    special_tokens: bool = True
    skip_overlong: bool = False
    on_bad_row: OnBadRow = "stop"

    @classmethod
    def of(cls, settings: Settings, positions: int | None, batch: int | None) -> Layout:
        """What settings ask for of a network that reads so many tokens at most."""
        return cls(
            min(settings.max_length, positions or settings.max_length),
            settings.window,
            batch,
            settings.perturbation,
            settings.special_tokens,
            settings.skip_overlong,
            settings.on_bad_row,
        )


def plan_batches(texts: TextSet, tokenizer: PreTrainedTokenizerBase, layout: Layout) -> Plan:
    """Tokenizes, cuts, sorts by length, and fills batches.

    Raises:
        DataError: messages that the chat template does not take.
        ModelError: windows of a tokenizer whose special tokens cannot be told.
        SettingsError: windows without room for a text.
    """
    enough = None if layout.window is not None else layout.longest + 1
    encoder = Encoder(tokenizer, layout.special_tokens, enough)
    around = SpecialTokens()
    if layout.window is not None:
        around = special_tokens_of_windows(tokenizer, layout.window, special_tokens=layout.special_tokens)
    planned: list[PlannedText] = []
    unusable: list[UnusableText] = []
    for text, encoded in zip(texts.texts, encoder.encode(texts.texts), strict=True):
        if isinstance(encoded, DataError):
            if layout.on_bad_row == "stop":
                raise DataError(f"{texts.name}, text {text.id}: {encoded}") from encoded
            unusable.append(UnusableText(len(planned) + len(unusable), text.id, None, str(encoded)))
            continue
        if (reason := _why_unusable(encoded, layout)) is not None:
            count = len(encoded.tokens) if encoded.is_whole else None
            unusable.append(UnusableText(len(planned) + len(unusable), text.id, count, reason))
            continue
        for piece in _pieces(text, encoded, layout, around):
            planned.append(replace(piece, index=len(planned) + len(unusable)))
    for skipped in texts.skipped:
        unusable.append(UnusableText(len(planned) + len(unusable), skipped.id, 0, skipped.reason))
    if layout.perturbation is not None and layout.perturbation.startswith("tokens-"):
        special = frozenset(tokenizer.all_special_ids)
        planned = [
            replace(text, tokens=tuple(reorder_tokens(text.tokens, layout.perturbation, text.id, special)))
            for text in planned
        ]
    planned.sort(key=lambda text: (-len(text.tokens), text.index))
    return Plan(tuple(_fill(planned, layout.batch)), tuple(unusable))


def special_tokens_of_windows(
    tokenizer: PreTrainedTokenizerBase, window: int, *, special_tokens: bool
) -> SpecialTokens:
    """What is put around each window.

    Raises:
        ModelError: this tokenizer's special tokens cannot be told.
        SettingsError: they leave no room for a text.
    """
    if not special_tokens:
        return SpecialTokens()
    if (around := special_tokens_of(tokenizer)) is None:
        raise ModelError(
            "a window begins and ends as a text does, and this tokenizer's special tokens cannot be told from a text's "
            "own: give --no-special-tokens"
        )
    if len(around) >= window:
        raise SettingsError(
            f"a window of {window} tokens has no room for text beside {len(around)} special tokens: give a longer "
            "window, or --no-special-tokens"
        )
    return around


def _why_unusable(encoded: Encoded, layout: Layout) -> str | None:
    if layout.window is not None:
        return f"shorter than a window of {layout.window}" if len(encoded.tokens) < layout.window else None
    if len(encoded.tokens) < FEWEST_TOKENS:
        return f"fewer than {FEWEST_TOKENS} tokens"
    if layout.skip_overlong and len(encoded.tokens) > layout.longest:
        return f"longer than {layout.longest} tokens"
    return None


def _pieces(text: Text, encoded: Encoded, layout: Layout, around: SpecialTokens) -> Iterator[PlannedText]:
    """What is measured of a text: its first tokens, or its windows."""
    if layout.window is None:
        tokens = encoded.tokens[: layout.longest]
        yield PlannedText(0, text.id, tuple(tokens), len(encoded.tokens) > layout.longest)
        return
    around = around.those_of(encoded.tokens)
    own, step = around.off(encoded.tokens), layout.window - len(around)
    for number, start in enumerate(range(0, len(own) - step + 1, step)):
        yield PlannedText(0, f"{text.id}#{number}", tuple(around.around(own[start : start + step])))


def _fill(planned: list[PlannedText], batch_tokens: int | None) -> list[tuple[PlannedText, ...]]:
    """Batches of texts sorted by falling length, so the first of each is its longest."""
    batches: list[list[PlannedText]] = []
    for text in planned:
        fits = (
            batch_tokens is not None and batches and len(batches[-1][0].tokens) * (len(batches[-1]) + 1) <= batch_tokens
        )
        if fits:
            batches[-1].append(text)
        else:
            batches.append([text])
    return [tuple(batch) for batch in batches]
