"""A part of a report."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rankscope.reports.charts import Figure
    from rankscope.tables import Table


@dataclass
class Section:
    """A part of a report.

    Attributes:
        heading: shown above the section.
        tables: tables by name.
        figures: figures in display order.
        remarks: what the section omits, and why.
    """

    heading: str
    tables: dict[str, Table] = field(default_factory=dict)
    figures: list[Figure] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
