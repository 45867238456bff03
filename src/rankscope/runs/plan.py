"""From texts to batches of token ids, the same for the same texts, tokenizer and settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from rankscope.texts import TextSet


@dataclass(frozen=True)
class PlannedText:
    """One text as token ids; `index` is its place in the data set's order."""

    index: int
    id: str
    tokens: tuple[int, ...]


@dataclass(frozen=True)
class UnusableText:
    """One text that cannot be measured, and why."""

    index: int
    id: str
    n_tokens: int
    reason: str


@dataclass(frozen=True)
class Plan:
    """What one model does with one set of texts.

    Attributes:
        batches: longest texts first, so that memory runs out at once or not at all.
        unusable: texts without enough tokens, and those that were empty to begin with.
        cut: how many texts were longer than the longest allowed.
    """

    batches: tuple[tuple[PlannedText, ...], ...]
    unusable: tuple[UnusableText, ...]
    cut: int

    @property
    def tokens(self) -> int:
        """Tokens in all batches, padding left out."""
        return sum(len(text.tokens) for batch in self.batches for text in batch)


def plan_batches(texts: TextSet, tokenizer: PreTrainedTokenizerBase, max_length: int, batch_tokens: int | None) -> Plan:
    """Tokenizes with the tokenizer's own special tokens, cuts, sorts by length, and fills batches.

    Args:
        texts: the texts.
        tokenizer: the model's.
        max_length: longer texts are cut to this many tokens.
        batch_tokens: at most this many tokens in a batch, padding included; a longer text has a
            batch of its own. None: every text alone.
    """
    encoded: list[list[int]] = []
    if texts.texts:
        encoded = tokenizer([text.text for text in texts.texts], return_attention_mask=False, verbose=False)[
            "input_ids"
        ]
    planned: list[PlannedText] = []
    unusable: list[UnusableText] = []
    for index, (text, ids) in enumerate(zip(texts.texts, encoded, strict=True)):
        if len(ids) < 2:
            unusable.append(UnusableText(index, text.id, len(ids), "fewer than 2 tokens"))
        else:
            planned.append(PlannedText(index, text.id, tuple(ids[:max_length])))
    unusable += [
        UnusableText(len(texts.texts) + place, skipped.id, 0, skipped.reason)
        for place, skipped in enumerate(texts.skipped)
    ]
    planned.sort(key=lambda text: (-len(text.tokens), text.index))
    cut = sum(len(ids) > max_length for ids in encoded)
    return Plan(tuple(_fill(planned, batch_tokens)), tuple(unusable), cut)


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
