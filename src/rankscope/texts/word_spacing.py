"""Detects texts without white space between words, as in Chinese, Japanese, Thai, Lao, Khmer or Burmese."""

from __future__ import annotations

import re

# Letters of scripts written without spaces between words, by Unicode block. Korean has spaces.
_UNSPACED = re.compile(
    "["
    "\u0e00-\u0eff"  # Thai, Lao
    "\u0f00-\u0fff"  # Tibetan
    "\u1000-\u109f\ua9e0-\ua9ff\uaa60-\uaa7f"  # Myanmar
    "\u1780-\u17ff"  # Khmer
    "\u1950-\u19df\u1a20-\u1aaf\uaa80-\uaadf"  # Tai Le, New Tai Lue, Tai Tham, Tai Viet
    "\u3005-\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af"  # Chinese characters
    "\u3040-\u312f\u31a0-\u31bf\u31f0-\u31ff\uff66-\uff9f\U0001aff0-\U0001b16f"  # kana, Bopomofo
    "\ua000-\ua4cf"  # Yi
    "]"
)
LEAST_SHARE = 0.25
"""Minimum share of such letters in a text. A Chinese word has about two letters, an English one five."""
LEAST_RUN = 5
"""Minimum mean number of letters between two spaces. Segmented text has fewer, about four in Thai."""


def lacks_word_spacing(text: str) -> bool:
    """Whether many words of a text are not separated by white space.

    True if at least a quarter of the letters belong to scripts without word spacing and runs of them between two
    spaces have five letters or more on average. False, therefore, for English text with a few Chinese names, for
    Chinese text that has been segmented into words, and for a single short word.
    """
    if text.isascii() or not _UNSPACED.search(text):
        return False
    runs = [run for part in text.split() if (run := _letters(part))]
    unspaced = sum(runs)
    return unspaced >= max(LEAST_SHARE * sum(map(str.isalpha, text)), LEAST_RUN * len(runs), 1)


def _letters(part: str) -> int:
    """The number of letters of scripts without word spacing; signs and digits do not count."""
    return sum(map(str.isalpha, _UNSPACED.findall(part)))
