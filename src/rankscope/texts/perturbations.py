"""Texts with their words or tokens reordered, to show how far a metric depends on order.

Source of the conditions: arXiv 2410.10672, figure 3 (base, reversed, shuffled, both).
"""

from __future__ import annotations

import random
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from typing import TypeVar

from rankscope.errors import SettingsError
from rankscope.settings import Perturbation
from rankscope.texts.stored import StoredTexts
from rankscope.texts.text import Text
from rankscope.texts.text_set import TextSet
from rankscope.texts.word_spacing import lacks_word_spacing

_Item = TypeVar("_Item")
_FEW = 0.01
_WORDS_AND_SPACES = re.compile(r"(\s+)")


def changed_texts(texts: TextSet, prefix: str | None, perturbation: Perturbation | None) -> TextSet:
    """The texts with their words reordered, then preceded by the prefix and a space.

    Token perturbations are applied by `reorder_tokens`, after tokenization. Texts without white space between words
    would keep their order: if more than 1 % of the texts lack it, the whole set is refused; otherwise, the remarks of
    the text set name them.

    Raises:
        SettingsError: words were to be reordered, but more than 1 % of the texts have no white space between words.
    """
    before = f"{prefix} " if prefix else ""
    of_words = perturbation if perturbation is not None and perturbation.startswith("words-") else None
    if not before and not of_words:
        return texts
    unspaced: list[str] = []

    def changed() -> Iterator[Text]:
        for text in texts.texts:
            words = text.text
            if of_words:
                words = reorder_words(text.text, of_words, text.id)
                if lacks_word_spacing(text.text):
                    unspaced.append(text.id)
            yield replace(text, text=before + words)

    stored = StoredTexts.of(changed())
    if of_words:
        _refuse_many(unspaced, texts, of_words)
    return replace(texts, texts=stored, kept_order=tuple(unspaced))


def _refuse_many(unspaced: Sequence[str], texts: TextSet, perturbation: Perturbation) -> None:
    """Refuses a data set if more than 1 % of its texts have no white space between words."""
    if len(unspaced) > _FEW * len(texts.texts):
        raise SettingsError(
            f"perturbation {perturbation!r} needs white space between words, and {len(unspaced):,} of "
            f"{len(texts.texts):,} texts of {texts.name} have none, as in Chinese, Japanese or Thai (the "
            f"first: {unspaced[0]}): reorder tokens instead, with {perturbation.replace('words', 'tokens')}"
        )


def reorder_words(text: str, perturbation: Perturbation, name: str) -> str:
    """Reorders the words of a text; white space stays in place."""
    parts = _WORDS_AND_SPACES.split(text)
    words = [place for place, part in enumerate(parts) if part and not part.isspace()]
    for place, word in zip(words, _reordered([parts[place] for place in words], perturbation, name), strict=True):
        parts[place] = word
    return "".join(parts)


def reorder_tokens(ids: Sequence[int], perturbation: Perturbation, name: str, special: Collection[int]) -> list[int]:
    """Reorders token ids; special tokens stay in place."""
    found = list(ids)
    places = [place for place, token in enumerate(found) if token not in special]
    for place, token in zip(places, _reordered([found[place] for place in places], perturbation, name), strict=True):
        found[place] = token
    return found


def _reordered(items: list[_Item], perturbation: Perturbation, name: str) -> list[_Item]:
    """Shuffles or reverses items, or both; the text's id seeds the shuffle, so every run has the same order."""
    if "shuffled" in perturbation:
        random.Random(name).shuffle(items)  # noqa: S311 (an order, not a secret)
    return items[::-1] if perturbation.endswith("reversed") else items
