"""A text or a conversation, as given to a model, and a skipped one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Message = Mapping[str, Any]
"""A turn of a conversation: `role`, `content`, and other keys that a chat template may read."""

Content = str | tuple[Message, ...]
"""The content of a row: a text, or the messages of a conversation."""


EMPTY = "empty"
"""The reason for skipping a text that is empty after `strip()`."""

_NAMED = 6


def name_some(names: Sequence[str]) -> str:
    """The first six names, and the number of the others."""
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


@dataclass(frozen=True, slots=True)
class Text:
    """One item of a data set.

    Attributes:
        id: the data set's own id, or else the row number.
        text: the text; for a conversation, the contents of its messages, for display.
        messages: the conversation's messages, for each model's chat template; empty for plain text.
    """

    id: str
    text: str
    messages: tuple[Message, ...] = ()


@dataclass(frozen=True, slots=True)
class SkippedText:
    """An item without a usable text, and the reason; the id of an unreadable row is its location."""

    id: str
    reason: str


class TextsDigest:
    """A running sha256 over ids and texts."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()

    def add(self, name: str, content: bytes) -> None:
        """Adds a text: its id, and its `content_bytes`."""
        self._digest.update(_framed(name) + content)

    def with_skipped(self, skipped: Iterable[SkippedText]) -> str:
        """The digest of the texts so far and of the skipped texts."""
        digest = self._digest.copy()
        for one in skipped:
            digest.update(_framed("skipped") + _framed(one.id) + _framed(one.reason))
        return digest.hexdigest()


def content_bytes(text: str, messages: tuple[Message, ...]) -> bytes:
    """The content of a text, for a digest."""
    return _framed(text) + (_framed(json.dumps(messages, sort_keys=True, default=str)) if messages else b"")


def _framed(part: str) -> bytes:
    """A part preceded by its length, so that different lists of parts never give the same bytes."""
    encoded = part.encode("utf-8", "surrogatepass")
    return len(encoded).to_bytes(8, "big") + encoded
