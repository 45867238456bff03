"""Names that come from files, as they can be stored and shown."""

from __future__ import annotations

import re

_BYTES_OF_A_NAME = re.compile("[\udc80-\udcff]+")
_SURROGATES = re.compile("[\ud800-\udfff]")


def valid_text(text: str) -> str:
    """The text as UTF-8 can hold it, with a replacement character for what is none.

    Python holds bytes of a file's name that its locale cannot read as lone surrogates. Those that are UTF-8, which a
    locale such as C does not know, become letters.
    """
    if text.isascii():
        return text
    read = _BYTES_OF_A_NAME.sub(lambda found: _as_bytes(found[0]).decode("utf-8", "replace"), text)
    return _SURROGATES.sub("\N{REPLACEMENT CHARACTER}", read)


def _as_bytes(surrogates: str) -> bytes:
    return bytes(ord(letter) & 0xFF for letter in surrogates)
