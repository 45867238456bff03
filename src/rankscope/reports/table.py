"""Tables for people: rows of a summary, rounded sensibly and aligned."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rankscope.statistics import Summary

_WIDTH_OF_A_FILE = 200


def print_summary(rows: Sequence[Summary], stream: TextIO) -> None:
    """Prints the headline table of an evaluation, and what was skipped, to a stream."""
    console = Console(file=stream, highlight=False)
    if not console.is_terminal:
        # A log or a pipe has no edge to wrap at.
        console = Console(file=stream, highlight=False, width=_WIDTH_OF_A_FILE)
    console.print(summary_table(rows))
    for row in rows:
        if row["skipped"]:
            total = _whole(row, "texts") + _whole(row, "skipped")
            where = f"{_short(row['model'])} on {row['dataset']}, layer {row['layer']}"
            console.print(
                Text(
                    f"{where}: {row['skipped']} of {total} texts skipped (reasons: column `reason` of the measurements)"
                )
            )


def summary_table(rows: Sequence[Summary]) -> Table:
    """The headline table: both terms of Diff-eRank beside it, then H/ln d, MNN and loss."""
    layers = {row["layer"] for row in rows} != {"last"}
    twins = any("effective_rank_untrained" in row for row in rows)
    table = Table(box=None, pad_edge=False, header_style="bold", collapse_padding=True)
    table.add_column("model", overflow="fold")
    table.add_column("data", overflow="fold")
    if layers:
        table.add_column("layer", justify="right")
    headings = ["texts", "tokens", "eRank untrained → trained" if twins else "eRank"]
    headings += (["Diff-eRank"] if twins else []) + ["H/ln d", "MNN", "loss"]
    for heading in headings:
        table.add_column(heading, justify="right")
    for row in rows:
        cells: list[str | Text] = [Text(_short(row["model"])), Text(str(row["dataset"]))]
        cells += [str(row["layer"])] if layers else []
        cells += [f"{row['texts']:,}", f"{row['tokens']:,}"]
        trained = _rounded(row.get("effective_rank"), 2)
        cells += [f"{_rounded(row.get('effective_rank_untrained'), 2)} → {trained}" if twins else trained]
        cells += [_rounded(row.get("diff_erank"), 2)] if twins else []
        cells += [
            _rounded(row.get("normalized_matrix_entropy"), 4),
            _rounded(row.get("matrix_nuclear_norm"), 4),
            _rounded(row.get("loss"), 3),
        ]
        table.add_row(*cells)
    return table


def _rounded(value: object, digits: int) -> str:
    return f"{value:.{digits}f}" if isinstance(value, float) else "–"


def _whole(row: Summary, key: str) -> int:
    value = row[key]
    return value if isinstance(value, int) else 0


def _short(model: object) -> str:
    """A path's last part; hub ids stay whole."""
    path = Path(str(model))
    return path.name.removesuffix(".gguf") if path.is_absolute() or path.exists() else str(model)
