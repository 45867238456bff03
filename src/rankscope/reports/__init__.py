"""Reports: summaries in, tables out."""

from rankscope.reports.table import print_summary, summary_table

__all__ = ["print_summary", "summary_table"]
