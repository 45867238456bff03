"""Reports: turn summaries into figures, pages, exported records and printed tables."""

from rankscope.reports.charts.alignment_ratios import alignment_figure
from rankscope.reports.charts.study import study_figure
from rankscope.reports.every_eval_ever import every_eval_ever_of
from rankscope.reports.figures import FORMATS, PALETTE, save_figure, theme, themed
from rankscope.reports.files import save_figures, save_page, save_records, save_tables
from rankscope.reports.lm_eval_results import lm_eval_results_of
from rankscope.reports.model_card import model_card_of
from rankscope.reports.predictions import predictions_of, predictions_table
from rankscope.reports.report import Report, build_report
from rankscope.reports.section import Section
from rankscope.reports.study_report import study_content, study_paragraph, study_table, write_study
from rankscope.reports.terminal import (
    GrowingTable,
    console_for,
    print_alignment,
    print_notes,
    print_summary,
    print_table,
)

__all__ = [
    "FORMATS",
    "PALETTE",
    "GrowingTable",
    "Report",
    "Section",
    "alignment_figure",
    "build_report",
    "console_for",
    "every_eval_ever_of",
    "lm_eval_results_of",
    "model_card_of",
    "predictions_of",
    "predictions_table",
    "print_alignment",
    "print_notes",
    "print_summary",
    "print_table",
    "save_figure",
    "save_figures",
    "save_page",
    "save_records",
    "save_tables",
    "study_content",
    "study_figure",
    "study_paragraph",
    "study_table",
    "theme",
    "themed",
    "write_study",
]
