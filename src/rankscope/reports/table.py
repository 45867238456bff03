"""Tables for people: rows of a summary, rounded sensibly and aligned."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rankscope.runs import Difference
    from rankscope.statistics import Note, Summary

_WIDTH_OF_A_FILE = 200
_BAR = 24


def print_summary(rows: Sequence[Summary], stream: TextIO) -> None:
    """Prints the headline table of an evaluation, and what was skipped, to a stream."""
    console = console_for(stream)
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


def console_for(stream: TextIO) -> Console:
    """A console on a stream; a log or a pipe has no edge to wrap at."""
    console = Console(file=stream, highlight=False)
    return console if console.is_terminal else Console(file=stream, highlight=False, width=_WIDTH_OF_A_FILE)


def summary_table(rows: Sequence[Summary]) -> Table:
    """The headline table: both terms of Diff-eRank beside it, then H/ln d, MNN and loss.

    The interval is Diff-eRank's over texts, without twins the effective rank's; "of noise" is the trained
    effective rank over that of isotropic noise of the same shape.
    """
    layers = {row["layer"] for row in rows} != {"last"}
    twins = any("effective_rank_untrained" in row for row in rows)
    table = Table(box=None, pad_edge=False, header_style="bold", collapse_padding=True)
    table.add_column("model", overflow="fold")
    table.add_column("data", overflow="fold")
    if layers:
        table.add_column("layer", justify="right")
    headings = ["texts", "tokens", "eRank untrained → trained" if twins else "eRank"]
    headings += ["Diff-eRank"] if twins else []
    headings += ["95 % interval", "of noise", "H/ln d", "MNN", "loss"]
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
            _interval(row, "diff_erank" if twins else "effective_rank"),
            _percent(row.get("effective_rank_over_noise")),
            _rounded(row.get("normalized_matrix_entropy"), 4),
            _rounded(row.get("matrix_nuclear_norm"), 4),
            _rounded(row.get("loss"), 3),
        ]
        table.add_row(*cells)
    return table


def print_notes(notes: Sequence[Note], stream: TextIO) -> None:
    """A line for each note, and where they are explained."""
    console = console_for(stream)
    for note in notes:
        console.print(Text(f"note {note.name}: {note.text}"), soft_wrap=True)


def differences_table(differences: Sequence[Difference]) -> Table:
    """Differences from the first model: both values, the difference with its interval, the p-value."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    headings = ("model", "data", "layer", "metric", "reference", "model's", "difference", "95 % interval", "p", "texts")
    for heading in headings:
        table.add_column(
            heading, justify="left" if heading in ("model", "data", "metric") else "right", overflow="fold"
        )
    for one in differences:
        digits = _digits(one.high - one.low)
        table.add_row(
            Text(_short(one.model)),
            Text(one.dataset),
            one.layer,
            one.metric,
            f"{one.reference_value:.{digits}f}",
            f"{one.model_value:.{digits}f}",
            f"{one.difference:+.{digits}f}",
            f"{one.low:+.{digits}f} to {one.high:+.{digits}f}",
            "–" if one.p_value is None else f"{one.p_value:.2g}",
            f"{one.texts:,}",
        )
    if differences:
        table.caption = f"differences from {_short(differences[0].reference)}"
        table.caption_justify = "left"
    return table


def _digits(width: float) -> int:
    """Decimals that an interval of this width deserves: two digits of it."""
    return 3 if width <= 0 else min(6, max(0, 1 - math.floor(math.log10(width))))


def trajectory_table(rows: Sequence[Summary], steps: Sequence[int]) -> Table:
    """One model through its training: loss and effective rank at each checkpoint, with a bar for the rank."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("checkpoint")
    for heading in ("step", "loss", "eRank", "H/ln d", "MNN"):
        table.add_column(heading, justify="right")
    table.add_column("")
    ranks = [value if isinstance(value := row.get("effective_rank"), float) else 0.0 for row in rows]
    for row, step, rank in zip(rows, steps, ranks, strict=True):
        table.add_row(
            Text(str(row["model"])),
            f"{step:,}",
            _rounded(row.get("loss"), 3),
            _rounded(row.get("effective_rank"), 2),
            _rounded(row.get("normalized_matrix_entropy"), 4),
            _rounded(row.get("matrix_nuclear_norm"), 4),
            "█" * round(_BAR * rank / max(*ranks, 1.0)),
        )
    return table


def _interval(row: Summary, key: str) -> str:
    low, high = row.get(f"{key}_low"), row.get(f"{key}_high")
    return f"{low:.2f} to {high:.2f}" if isinstance(low, float) and isinstance(high, float) else "–"


def _percent(value: object) -> str:
    return f"{value:.0%}" if isinstance(value, float) else "–"


def _rounded(value: object, digits: int) -> str:
    return f"{value:.{digits}f}" if isinstance(value, float) else "–"


def _whole(row: Summary, key: str) -> int:
    value = row[key]
    return value if isinstance(value, int) else 0


def _short(model: object) -> str:
    """A path's last part; hub ids stay whole."""
    path = Path(str(model))
    return path.name.removesuffix(".gguf") if path.is_absolute() or path.exists() else str(model)
