"""The main table of a run of any kind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rankscope.tables.alignment import alignment_table
from rankscope.tables.standard import summary_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rankscope.statistics import Summary
    from rankscope.tables.table import Table


def is_of_images(row: Summary) -> bool:
    """Whether a summary row belongs to images and texts."""
    return "erank1" in row


def headline_table(rows: Sequence[Summary]) -> Table:
    """Effective ranks of texts, or of images and texts."""
    return alignment_table(rows) if any(map(is_of_images, rows)) else summary_table(rows)
