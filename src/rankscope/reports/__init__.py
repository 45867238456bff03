"""Reports: summaries in, tables out."""

from rankscope.reports.table import (
    console_for,
    differences_table,
    print_notes,
    print_summary,
    summary_table,
    trajectory_table,
)

__all__ = [
    "console_for",
    "differences_table",
    "print_notes",
    "print_summary",
    "summary_table",
    "trajectory_table",
]
