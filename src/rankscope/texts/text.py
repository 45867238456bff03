"""Texts as they go to a model, and those that were left out."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Text:
    """One item of a data set: its own id, else its row's number, and a string."""

    id: str
    text: str


@dataclass(frozen=True, slots=True)
class SkippedText:
    """One item without a usable text, and why."""

    id: str
    reason: str


@dataclass(frozen=True)
class TextSet:
    """The texts of one data set.

    Attributes:
        name: as results call it.
        source: where the texts came from and how they were chosen, for people.
        texts: usable ones, in order.
        skipped: empty ones that were met on the way.
    """

    name: str
    source: str
    texts: tuple[Text, ...]
    skipped: tuple[SkippedText, ...] = ()

    @property
    def fingerprint(self) -> str:
        """sha256 over ids and texts, and over what was left out: equal where measurements have the same rows."""
        digest = hashlib.sha256()
        for text in self.texts:
            for part in (text.id.encode(), text.text.encode("utf-8", "surrogatepass")):
                digest.update(len(part).to_bytes(8, "big") + part)
        for skipped in self.skipped:
            for part in (b"skipped", skipped.id.encode(), skipped.reason.encode()):
                digest.update(len(part).to_bytes(8, "big") + part)
        return digest.hexdigest()
