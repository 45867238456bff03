"""Tables: render rows as terminal text, Markdown, LaTeX, CSV and HTML."""

from rankscope.tables.alignment import alignment_table, control_table
from rankscope.tables.headline import headline_table, is_of_images
from rankscope.tables.standard import (
    checkpoints_table,
    differences_table,
    metrics_table,
    short_name,
    short_names,
    summary_table,
    trajectory_table,
    whole_table,
)
from rankscope.tables.table import (
    ABSENT,
    Column,
    Row,
    Table,
    digits_of,
    to_csv,
    to_html,
    to_latex,
    to_latex_text,
    to_markdown,
    to_terminal,
)
from rankscope.tables.vocabulary import INTERVAL, Term, column, said, term, titled

__all__ = [
    "ABSENT",
    "INTERVAL",
    "Column",
    "Row",
    "Table",
    "Term",
    "alignment_table",
    "checkpoints_table",
    "column",
    "control_table",
    "differences_table",
    "digits_of",
    "headline_table",
    "is_of_images",
    "metrics_table",
    "said",
    "short_name",
    "short_names",
    "summary_table",
    "term",
    "titled",
    "to_csv",
    "to_html",
    "to_latex",
    "to_latex_text",
    "to_markdown",
    "to_terminal",
    "trajectory_table",
    "whole_table",
]
