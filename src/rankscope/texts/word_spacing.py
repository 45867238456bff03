"""Whether white space stands between the words of a text: not in Chinese, Japanese, Thai, Lao, Khmer or Burmese."""

from __future__ import annotations

import re

# Letters of scripts that are written without spaces between words, by their blocks in Unicode. Korean has spaces.
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
"""Of a text's letters. A Chinese word has about two letters and an English one five."""
LEAST_RUN = 5
"""Letters between two spaces. Where words are set apart they have fewer on average, about four in Thai."""


def lacks_word_spacing(text: str) -> bool:
    """Whether many words of a text stand together without white space.

    A quarter of the letters or more are of scripts without word spacing, and where these stand there are on average
    five of them or more from one space to the next. A few Chinese names in an English text are too few; a
    Chinese text whose words have been set apart has spaces; a word alone has nothing beside it.
    """
    if text.isascii() or not _UNSPACED.search(text):
        return False
    runs = [run for part in text.split() if (run := _letters(part))]
    unspaced = sum(runs)
    return unspaced >= max(LEAST_SHARE * sum(map(str.isalpha, text)), LEAST_RUN * len(runs), 1)


def _letters(part: str) -> int:
    """Of the scripts without word spacing; signs and digits are none."""
    return sum(map(str.isalpha, _UNSPACED.findall(part)))
