"""From texts to batches of token ids, reproducible for the same texts, tokenizer and settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rankscope.errors import DataError, ModelError, SettingsError
from rankscope.measuring.planned import Plan, PlanWriter
from rankscope.texts import Encoded, Encoder, SpecialTokens, reorder_tokens, special_tokens_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from transformers import PreTrainedTokenizerBase

    from rankscope.settings import OnBadRow, Perturbation, Settings
    from rankscope.texts import Text, TextSet

FEWEST_TOKENS = 2
"""Minimum for a text, so that it has a spectrum and a loss."""
_TOLD_EVERY = 1000


@dataclass(frozen=True)
class Layout:
    """How texts become token ids, and the maximum lengths of texts and batches.

    Attributes:
        longest: truncate texts to this many tokens. A special token at the end of the text is truncated too, because
            the text does not end there.
        window: split every text into windows of this many tokens and drop the remainder. Each window has the
            tokenizer's special tokens at its beginning and end, like a text; they count among its tokens.
        batch: maximum number of tokens in a batch, including padding; a longer text gets its own batch. None: one
            text per batch.
        perturbation: applied to the tokens of each text after truncation; word perturbations are applied earlier.
        special_tokens: whether to add the tokenizer's special tokens to texts and windows.
        skip_overlong: skip texts longer than `longest` instead of truncating them.
        on_bad_row: whether messages that the chat template does not accept are an error or are skipped.
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
        """The layout given by the settings, for a network with a maximum number of positions."""
        return cls(
            min(settings.max_length, positions or settings.max_length),
            settings.window,
            batch,
            settings.perturbation,
            settings.special_tokens,
            settings.skip_overlong,
            settings.on_bad_row,
        )


def plan_batches(
    texts: TextSet,
    tokenizer: PreTrainedTokenizerBase,
    layout: Layout,
    told: Callable[[int], None] = lambda _: None,
) -> Plan:
    """Tokenizes, truncates, sorts by length, and fills batches.

    Texts are read one by one, and large numbers of token ids move to a temporary file, so that millions of texts can
    be planned.

    Args:
        texts: to be planned.
        tokenizer: the model's.
        layout: how texts become token ids and batches.
        told: called every thousand texts with the number tokenized since the last call.

    Raises:
        DataError: messages that the chat template does not accept.
        ModelError: windows with a tokenizer whose special tokens cannot be determined.
        SettingsError: windows too short for their special tokens.
        StorageError: not enough space for the token ids.
    """
    enough = None if layout.window is not None else layout.longest + 1
    encoder = Encoder(tokenizer, layout.special_tokens, enough)
    around = SpecialTokens()
    if layout.window is not None:
        around = special_tokens_of_windows(tokenizer, layout.window, special_tokens=layout.special_tokens)
    special = frozenset(tokenizer.all_special_ids)
    writer = PlanWriter()
    for number, (text, encoded) in enumerate(encoder.encode(texts.texts), start=1):
        if isinstance(encoded, DataError):
            if layout.on_bad_row == "stop":
                raise DataError(f"{texts.name}, text {text.id}: {encoded}") from encoded
            writer.refuse(text.id, None, str(encoded))
        elif (reason := _why_unusable(encoded, layout)) is not None:
            writer.refuse(text.id, len(encoded.tokens) if encoded.is_whole else None, reason)
        else:
            is_cut = layout.window is None and len(encoded.tokens) > layout.longest
            for name, tokens in _pieces(text, encoded, layout, around):
                writer.add(name, _reordered(tokens, name, layout, special), is_cut=is_cut)
        if number % _TOLD_EVERY == 0:
            told(_TOLD_EVERY)
    if left := len(texts.texts) % _TOLD_EVERY:
        told(left)
    for skipped in texts.skipped:
        writer.refuse(skipped.id, 0, skipped.reason)
    return writer.plan(layout.batch)


def special_tokens_of_windows(
    tokenizer: PreTrainedTokenizerBase, window: int, *, special_tokens: bool
) -> SpecialTokens:
    """The special tokens to add to each window.

    Raises:
        ModelError: the tokenizer's special tokens cannot be determined.
        SettingsError: they leave no room for text.
    """
    if not special_tokens:
        return SpecialTokens()
    if (around := special_tokens_of(tokenizer)) is None:
        raise ModelError(
            "windows need special tokens at both ends like a text, but this tokenizer's special tokens cannot be "
            "separated from the text's own: add --no-special-tokens"
        )
    if len(around) >= window:
        raise SettingsError(
            f"a window of {window} tokens has no room for text next to {len(around)} special tokens: use a longer "
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


def _pieces(text: Text, encoded: Encoded, layout: Layout, around: SpecialTokens) -> Iterator[tuple[str, Sequence[int]]]:
    """The parts of a text that are measured, with their names: its first tokens, or its windows."""
    if layout.window is None:
        yield text.id, encoded.tokens[: layout.longest]
        return
    around = around.those_of(encoded.tokens)
    own, step = around.off(encoded.tokens), layout.window - len(around)
    for number, start in enumerate(range(0, len(own) - step + 1, step)):
        yield f"{text.id}#{number}", around.around(own[start : start + step])


def _reordered(tokens: Sequence[int], name: str, layout: Layout, special: frozenset[int]) -> Sequence[int]:
    if layout.perturbation is None or not layout.perturbation.startswith("tokens-"):
        return tokens
    return reorder_tokens(tokens, layout.perturbation, name, special)
