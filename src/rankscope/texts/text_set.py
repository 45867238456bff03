"""The texts of one data set, with what was left out."""

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
        name: as results call it.
        source: where the texts came from and how they were chosen, for people.
        texts: usable ones, in order; those of a data set are read from where they are stored each time.
        skipped: empty ones, and bad rows, that were met on the way.
        left_out: files of the data's folder that are not among its data.
        kept_order: ids of texts whose words could not be reordered, for want of white space between them.
    """

    name: str
    source: str
    texts: Sequence[Text]
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

    @cached_property
    def fingerprint(self) -> str:
        """sha256 over ids and texts, and over what was left out: equal where measurements have the same rows."""
        digest = self.texts.digest if isinstance(self.texts, StoredTexts) else digest_of(self.texts)
        return digest.with_skipped(self.skipped)
