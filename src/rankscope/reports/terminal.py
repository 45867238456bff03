"""What commands print: tables and notes on a stream."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TextIO

from rich.console import Console
from rich.text import Text

from rankscope.tables import Table, alignment_table, control_table, short_name, summary_table, to_terminal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rankscope.statistics import Note, Summary

_WIDTH_OF_A_FILE = 200
_NO_EDGE = 10_000  # a row is one line
_ALIGNMENT_COLUMNS = """
eRank of image tokens 1 after the vision encoder and 2 after the connector; of the language model's last hidden
states for 3 the image, 4 the text and 5 both. reduction = (1 - 2) / 1; alignment = mean(3, 4, 5) / max(3, 4, 5);
MIR = modality integration rate, lower is closer; loss of the response, in nats per token."""


def console_for(stream: TextIO) -> Console:
    """A console that prints to a stream; if that is not a terminal, lines may be 200 characters wide."""
    console = Console(file=stream, highlight=False)
    return console if console.is_terminal else Console(file=stream, highlight=False, width=_WIDTH_OF_A_FILE)


def print_table(table: Table, stream: TextIO, *, compact: bool = False) -> None:
    """Prints a table; `compact` puts one space between columns instead of two."""
    console_for(stream).print(to_terminal(table, compact=compact))


@dataclass
class GrowingTable:
    """Prints a table row by row as rows arrive, below one heading.

    Attributes:
        table_of: turns rows into a table.
        stream: where the table is printed.
    """

    table_of: Callable[[Sequence[Summary]], Table]
    stream: TextIO
    _rows: list[Summary] = field(default_factory=list)
    _heading: str = ""

    def print(self, rows: Sequence[Summary]) -> None:
        """Prints additional rows, and the heading again if the layout of the columns has changed."""
        self._rows += rows
        text = io.StringIO()
        Console(file=text, highlight=False, width=_NO_EDGE).print(to_terminal(self.table_of(self._rows), compact=True))
        heading, *lines = (line.rstrip() for line in text.getvalue().splitlines())
        if heading != self._heading:
            print(heading, file=self.stream)
        self._heading = heading
        print("\n".join(lines[-len(rows) :]), file=self.stream)


def print_summary(rows: Sequence[Summary], stream: TextIO) -> None:
    """Prints the headline table of an evaluation and the number of skipped texts."""
    print_table(summary_table(rows), stream, compact=True)
    console = console_for(stream)
    for row in rows:
        skipped, texts = row["skipped"], row["texts"]
        if isinstance(skipped, int) and isinstance(texts, int) and skipped:
            where = f"{short_name(row['model'])} on {row['dataset']}, layer {row['layer']}"
            reasons = "see the column `reason` of the measurements"
            console.print(Text(f"{where}: {skipped} of {texts + skipped} texts skipped ({reasons})"))


def print_notes(notes: Sequence[Note], stream: TextIO) -> None:
    """Prints one line per note."""
    console = console_for(stream)
    for note in notes:
        console.print(Text(f"note {note.name}: {note.text}"), soft_wrap=True)


def print_alignment(rows: Sequence[Summary], stream: TextIO) -> None:
    """Prints an alignment's table, the changes under controls, a legend of the columns and the skipped pairs."""
    console = console_for(stream)
    print_table(alignment_table(rows), stream, compact=True)
    changes = control_table(rows)
    if changes.rows:
        console.print()
        print_table(changes, stream, compact=True)
    console.print(Text(_ALIGNMENT_COLUMNS), soft_wrap=True)
    skipped = {(row["model"], row["dataset"]): row["skipped"] for row in rows if row["skipped"]}
    for (model, dataset), count in skipped.items():
        where = f"{short_name(model)} on {dataset}"
        reasons = "see the column `reason` of the measurements"
        console.print(Text(f"{where}: {count} pairs skipped ({reasons})"), soft_wrap=True)
