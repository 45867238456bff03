"""Reports: summaries in; tables, figures and pages out."""

from rankscope.reports.alignment_table import alignment_table, control_table, print_alignment
from rankscope.reports.charts.alignment_ratios import alignment_figure
from rankscope.reports.charts.study import study_figure
from rankscope.reports.figures import FORMATS, PALETTE, require_charts, save_figure, theme, themed
from rankscope.reports.files import save_figures, save_page, save_tables
from rankscope.reports.headline import headline_table
from rankscope.reports.model_card import model_card_of
from rankscope.reports.report import Report, Section, build_report
from rankscope.reports.standard_tables import (
    differences_table,
    short_name,
    summary_table,
    trajectory_table,
)
from rankscope.reports.study_report import study_content, study_paragraph, study_table, write_study
from rankscope.reports.tables import Column, Table, to_csv, to_html, to_latex, to_markdown, to_terminal
from rankscope.reports.terminal import console_for, print_notes, print_summary, print_table

__all__ = [
    "FORMATS",
    "PALETTE",
    "Column",
    "Report",
    "Section",
    "Table",
    "alignment_figure",
    "alignment_table",
    "build_report",
    "console_for",
    "control_table",
    "differences_table",
    "headline_table",
    "model_card_of",
    "print_alignment",
    "print_notes",
    "print_summary",
    "print_table",
    "require_charts",
    "save_figure",
    "save_figures",
    "save_page",
    "save_tables",
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
