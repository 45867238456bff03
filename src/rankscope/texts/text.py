"""A text or a conversation as it goes to a model, and one that was left out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
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


class TextsDigest:
    """A running sha256 over ids and texts."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()

    def add(self, name: str, content: bytes) -> None:
        """A text: its id, and the `content_bytes` of the rest."""
        self._digest.update(_framed(name) + content)

    def with_skipped(self, skipped: Iterable[SkippedText]) -> str:
        """The digest of the texts so far and of what was left out."""
        digest = self._digest.copy()
        for one in skipped:
            digest.update(_framed("skipped") + _framed(one.id) + _framed(one.reason))
        return digest.hexdigest()


def content_bytes(text: str, messages: tuple[Message, ...]) -> bytes:
    """What a text holds, for a digest."""
    return _framed(text) + (_framed(json.dumps(messages, sort_keys=True, default=str)) if messages else b"")


def _framed(part: str) -> bytes:
    """With its length before it, so that no two lists of parts give the same bytes."""
    encoded = part.encode("utf-8", "surrogatepass")
    return len(encoded).to_bytes(8, "big") + encoded
