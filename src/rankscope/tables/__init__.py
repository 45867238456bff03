"""Tables: rows in; terminal text, Markdown, LaTeX, CSV and HTML out."""

from rankscope.tables.alignment import alignment_table, control_table
from rankscope.tables.headline import headline_table, is_of_images
from rankscope.tables.standard import differences_table, short_name, short_names, summary_table, trajectory_table
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

__all__ = [
    "ABSENT",
    "Column",
    "Row",
    "Table",
    "alignment_table",
    "control_table",
    "differences_table",
    "digits_of",
    "headline_table",
    "is_of_images",
    "short_name",
    "short_names",
    "summary_table",
    "to_csv",
    "to_html",
    "to_latex",
    "to_latex_text",
    "to_markdown",
    "to_terminal",
    "trajectory_table",
]
