r"""The first tokens of a very long text, without encoding the rest.

A text is cut before a space that follows another character. What is cut off cannot change the tokens before it: no
token of the vocabulary spans a character and a following space, so BPE merges stay on either side, and every path of a
unigram model passes through the cut. This relies on the tokenizer's rules, so it is also checked: a second beginning,
twice as long, must give the same ids, and the last ids before the cut are not used. If any of this fails, the whole
text is encoded.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_CHARACTERS_OF_A_TOKEN = 8
_UNUSED = 64  # ids discarded before a cut
# White space as written in vocabularies: itself, sentencepiece's, and bytes 9 to 13 and 32 of byte-level BPE.
_SPACE_AFTER_CHARACTER = re.compile("[^\\s\u2581\u0109-\u010d\u0120][ \u2581\u0120]")


@dataclass(frozen=True)
class Beginnings:
    """The first tokens of long texts, for one tokenizer.

    Attributes:
        tokenizer: the model's own.
        shortest: characters of the first beginning to try; texts shorter than four times this are not cut.
    """

    tokenizer: PreTrainedTokenizerBase
    shortest: int = 1 << 13

    def of(self, text: str, enough: int, *, special_tokens: bool) -> list[int] | None:
        """The first `enough` ids of a text, equal to those of the whole text.

        Returns:
            None if the text is not very long, has fewer ids, or the ids cannot be shown to be equal.
        """
        length = max(self.shortest, _CHARACTERS_OF_A_TOKEN * enough)
        while 4 * length < len(text) and self._is_local:
            first, second = _cut(text, length), _cut(text, 2 * length)
            if first is not None and second is not None:
                ids, more = (self._ids(one, special_tokens=special_tokens) for one in (first, second))
                used = len(ids) - _UNUSED
                if used >= enough and ids[:used] == more[:used]:
                    return ids[:enough]
            length *= 2
        return None

    def _ids(self, text: str, *, special_tokens: bool) -> list[int]:
        return list(self.tokenizer(text, add_special_tokens=special_tokens, verbose=False)["input_ids"])

    @cached_property
    def _is_local(self) -> bool:
        """Whether no token spans a character and a space after it; False for slow tokenizers, whose code is unknown."""
        return bool(self.tokenizer.is_fast) and not any(map(_SPACE_AFTER_CHARACTER.search, self.tokenizer.get_vocab()))


def _cut(text: str, length: int) -> str | None:
    """The text before the last space that follows another character, within `length` characters."""
    place = text.rfind(" ", length // 2, length)
    while place > 0 and text[place - 1].isspace():
        place = text.rfind(" ", length // 2, place)
    return text[:place] if place > 0 else None
