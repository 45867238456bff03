"""What commands print: tables and notes on a stream."""

from __future__ import annotations

from typing import TYPE_CHECKING, TextIO

from rich.console import Console
from rich.text import Text

from rankscope.reports.standard_tables import short_name, summary_table
from rankscope.reports.tables import Table, to_terminal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rankscope.statistics import Note, Summary

_WIDTH_OF_A_FILE = 200


def console_for(stream: TextIO) -> Console:
    """A console on a stream; a log or a pipe has no edge to wrap at."""
    console = Console(file=stream, highlight=False)
    return console if console.is_terminal else Console(file=stream, highlight=False, width=_WIDTH_OF_A_FILE)


def print_table(table: Table, stream: TextIO, *, compact: bool = False) -> None:
    """Prints a table; compact leaves one space between columns instead of two."""
    console_for(stream).print(to_terminal(table, compact=compact))


def print_summary(rows: Sequence[Summary], stream: TextIO) -> None:
    """Prints the headline table of an evaluation, and what was skipped, to a stream."""
    print_table(summary_table(rows), stream, compact=True)
    console = console_for(stream)
    for row in rows:
        skipped, texts = row["skipped"], row["texts"]
        if isinstance(skipped, int) and isinstance(texts, int) and skipped:
            where = f"{short_name(row['model'])} on {row['dataset']}, layer {row['layer']}"
            reasons = "reasons: column `reason` of the measurements"
            console.print(Text(f"{where}: {skipped} of {texts + skipped} texts skipped ({reasons})"))


def print_notes(notes: Sequence[Note], stream: TextIO) -> None:
    """A line for each note."""
    console = console_for(stream)
    for note in notes:
        console.print(Text(f"note {note.name}: {note.text}"), soft_wrap=True)
