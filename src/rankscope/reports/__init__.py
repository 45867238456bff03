"""Reports: summaries in; tables, figures and pages out."""

from rankscope.reports.figures import FORMATS, PALETTE, save_figure, theme, themed
from rankscope.reports.standard_tables import differences_table, short_name, summary_table, trajectory_table
from rankscope.reports.tables import Column, Table, to_csv, to_html, to_latex, to_markdown, to_terminal
from rankscope.reports.terminal import console_for, print_notes, print_summary, print_table

__all__ = [
    "FORMATS",
    "PALETTE",
    "Column",
    "Table",
    "console_for",
    "differences_table",
    "print_notes",
    "print_summary",
    "print_table",
    "save_figure",
    "short_name",
    "summary_table",
    "theme",
    "themed",
    "to_csv",
    "to_html",
    "to_latex",
    "to_markdown",
    "to_terminal",
    "trajectory_table",
]
