"""The texts of one data set, including skipped texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from rankscope.texts.stored import StoredTexts, digest_of
from rankscope.texts.text import EMPTY, SkippedText, Text, name_some


@dataclass(frozen=True)
class TextSet:
    """The texts of one data set.

    Attributes:
        name: the data set's name in results.
        source: description of where the texts came from and how they were chosen.
        texts: usable texts, in order; large sets are read from storage each time.
        skipped: empty texts and bad rows among those read.
        left_out: files in the data's folder that were ignored because they are not data.
        kept_order: ids of texts whose words could not be reordered, because they have no white space between words.
    """

    name: str
    source: str
    texts: Sequence[Text]
    skipped: tuple[SkippedText, ...] = ()
    left_out: tuple[str, ...] = ()
    kept_order: tuple[str, ...] = ()

    @property
    def remarks(self) -> tuple[str, ...]:
        """Remarks for the user: ignored files, texts whose words keep their order, and bad rows."""
        found = []
        if self.left_out:
            found.append(f"{self.name}: ignored, not data: {name_some(self.left_out)}")
        if self.kept_order:
            found.append(
                f"{self.name}: words could not be reordered, for lack of white space between them, in "
                f"{len(self.kept_order):,} of {len(self.texts):,} texts: {name_some(self.kept_order)}"
            )
        bad = [one for one in self.skipped if one.reason != EMPTY]
        if bad:
            found.append(f"{self.name}: {len(bad):,} bad rows skipped, the first at {bad[0].id}: {bad[0].reason}")
        return tuple(found)

    @cached_property
    def fingerprint(self) -> str:
        """sha256 over ids, texts and skipped rows; equal fingerprints mean the same rows in measurements."""
        digest = self.texts.digest if isinstance(self.texts, StoredTexts) else digest_of(self.texts)
        return digest.with_skipped(self.skipped)
