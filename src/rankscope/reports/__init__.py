"""Reports: summaries in; tables, figures and pages out."""

from rankscope.reports.figures import FORMATS, PALETTE, require_charts, save_figure, theme, themed
from rankscope.reports.standard_tables import differences_table, short_name, summary_table, trajectory_table
from rankscope.reports.study_figure import study_figure
from rankscope.reports.study_report import study_content, study_paragraph, study_table, write_study
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
    "require_charts",
    "save_figure",
    "short_name",
    "study_content",
    "study_figure",
    "study_paragraph",
    "study_table",
    "summary_table",
    "theme",
    "themed",
    "to_csv",
    "to_html",
    "to_latex",
    "to_markdown",
    "to_terminal",
    "trajectory_table",
    "write_study",
]
