"""Texts and conversations as they go to a model, and those that were left out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Message = Mapping[str, Any]
"""A turn of a conversation: `role`, `content`, and what else a chat template may read."""

Content = str | tuple[Message, ...]
"""What a row holds: a text, or the messages of a conversation."""


EMPTY = "empty"
"""Why a text is skipped in which nothing is left after `strip()`."""

_NAMED = 6


def name_some(names: Sequence[str]) -> str:
    """The first few names, and how many there are besides."""
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


@dataclass(frozen=True, slots=True)
class Text:
    """One item of a data set.

    Attributes:
        id: its own, else its row's number.
        text: a string; of a conversation the contents of its messages, for people.
        messages: of a conversation, which each model's chat template writes in its own way; else none.
    """

    id: str
    text: str
    messages: tuple[Message, ...] = ()


@dataclass(frozen=True, slots=True)
class SkippedText:
    """One item without a usable text, and why; a row that could not be read has its place for an id."""

    id: str
    reason: str


@dataclass(frozen=True)
class TextSet:
    """The texts of one data set.

    Attributes:
        name: as results call it.
        source: where the texts came from and how they were chosen, for people.
        texts: usable ones, in order.
        skipped: empty ones, and bad rows, that were met on the way.
        left_out: files of the data's folder that are not among its data.
        kept_order: ids of texts whose words could not be reordered, for want of white space between them.
    """

    name: str
    source: str
    texts: tuple[Text, ...]
    skipped: tuple[SkippedText, ...] = ()
    left_out: tuple[str, ...] = ()
    kept_order: tuple[str, ...] = ()

    @property
    def remarks(self) -> tuple[str, ...]:
        """What people should know of the texts: files left out, rows that could not be read, words that stayed."""
        found = []
        if self.left_out:
            found.append(f"{self.name}: left out, not data: {name_some(self.left_out)}")
        if self.kept_order:
            found.append(
                f"{self.name}: words keep their order, for want of white space between them, in "
                f"{len(self.kept_order):,} of {len(self.texts):,} texts: {name_some(self.kept_order)}"
            )
        bad = [one for one in self.skipped if one.reason != EMPTY]
        if bad:
            found.append(f"{self.name}: {len(bad):,} bad rows skipped, the first at {bad[0].id}: {bad[0].reason}")
        return tuple(found)

    @property
    def fingerprint(self) -> str:
        """sha256 over ids and texts, and over what was left out: equal where measurements have the same rows."""
        digest = hashlib.sha256()
        for text in self.texts:
            parts = [text.id, text.text]
            if text.messages:
                parts.append(json.dumps(text.messages, sort_keys=True, default=str))
            for part in (part.encode("utf-8", "surrogatepass") for part in parts):
                digest.update(len(part).to_bytes(8, "big") + part)
        for skipped in self.skipped:
            for part in (b"skipped", skipped.id.encode(), skipped.reason.encode()):
                digest.update(len(part).to_bytes(8, "big") + part)
        return digest.hexdigest()
