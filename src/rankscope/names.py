"""File names as valid text, for storage and display."""

from __future__ import annotations

import re

_BYTES_OF_A_NAME = re.compile("[\udc80-\udcff]+")
_SURROGATES = re.compile("[\ud800-\udfff]")


def valid_text(text: str) -> str:
    """The text with everything that UTF-8 cannot encode replaced.

    Python represents bytes of a file name that the locale cannot decode as lone surrogates. Bytes that are valid UTF-8
    are decoded (a locale such as C cannot do so); all others become replacement characters.
    """
    if text.isascii():
        return text
    read = _BYTES_OF_A_NAME.sub(lambda found: _as_bytes(found[0]).decode("utf-8", "replace"), text)
    return _SURROGATES.sub("\N{REPLACEMENT CHARACTER}", read)


def utf8(text: str) -> bytes:
    """The text as the UTF-8 content of a file; see `valid_text`."""
    return valid_text(text).encode()


def _as_bytes(surrogates: str) -> bytes:
    return bytes(ord(letter) & 0xFF for letter in surrogates)
