"""From texts to batches of token ids, the same for the same texts, tokenizer and settings."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from rankscope.texts import reorder_tokens

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from rankscope.settings import Perturbation
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
    def fingerprint(self) -> str:
        """sha256 over what a network would see: token ids, in which batches, and what is left out."""
        content = (
            [[[text.index, text.id, text.tokens] for text in batch] for batch in self.batches],
            [[text.index, text.id, text.reason] for text in self.unusable],
        )
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()

    @property
    def tokens(self) -> int:
        """Tokens in all batches, padding left out."""
        return sum(len(text.tokens) for batch in self.batches for text in batch)


@dataclass(frozen=True)
class Layout:
    """How long texts and batches may be, in tokens, and in which order tokens stand.

    Attributes:
        longest: longer texts are cut.
        window: cut every text into windows of so many tokens; what is left over at its end is dropped.
        batch: at most this many in a batch, padding included; a longer text has a batch of its own.
            None: every text alone.
        perturbation: of the tokens of each text, after it was cut; one of words was applied to the texts before.
    """

    longest: int
    window: int | None = None
    batch: int | None = None
    perturbation: Perturbation | None = None


def plan_batches(texts: TextSet, tokenizer: PreTrainedTokenizerBase, layout: Layout) -> Plan:
    """Tokenizes with the tokenizer's own special tokens, cuts, sorts by length, and fills batches."""
    encoded: list[list[int]] = []
    if texts.texts:
        strings = [text.text for text in texts.texts]
        encoded = tokenizer(strings, return_attention_mask=False, verbose=False)["input_ids"]
    planned: list[PlannedText] = []
    unusable: list[UnusableText] = []
    for text, ids in zip(texts.texts, encoded, strict=True):
        pieces = [ids[: layout.longest]] if layout.window is None else _windows(ids, layout.window)
        for number, piece in enumerate(pieces):
            name = text.id if layout.window is None else f"{text.id}#{number}"
            if len(piece) >= 2:
                planned.append(PlannedText(len(planned) + len(unusable), name, tuple(piece)))
        if not pieces or len(pieces[0]) < 2:
            reason = "fewer than 2 tokens" if layout.window is None else f"shorter than a window of {layout.window}"
            unusable.append(UnusableText(len(planned) + len(unusable), text.id, len(ids), reason))
    for skipped in texts.skipped:
        unusable.append(UnusableText(len(planned) + len(unusable), skipped.id, 0, skipped.reason))
    if layout.perturbation is not None and layout.perturbation.startswith("tokens-"):
        special = frozenset(tokenizer.all_special_ids)
        planned = [
            replace(text, tokens=tuple(reorder_tokens(text.tokens, layout.perturbation, text.id, special)))
            for text in planned
        ]
    planned.sort(key=lambda text: (-len(text.tokens), text.index))
    cut = sum(len(ids) > layout.longest for ids in encoded)
    return Plan(tuple(_fill(planned, layout.batch)), tuple(unusable), cut)


def _windows(ids: list[int], window: int) -> list[list[int]]:
    return [ids[start : start + window] for start in range(0, len(ids) - window + 1, window)]


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
