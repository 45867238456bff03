"""Statistics: tables in, tables out."""

from rankscope.statistics.aggregation import Summary, summarize

__all__ = ["Summary", "summarize"]
