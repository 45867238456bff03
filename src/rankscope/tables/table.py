"""One table in several formats: terminal, Markdown, LaTeX, CSV and HTML from the same columns and rows."""

from __future__ import annotations

import csv
import html
import io
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence

    import rich.table

Row = Mapping[str, object]

ABSENT = "–"
"""Shown in a cell without a value."""

_BAR = 24  # length of the longest bar in blocks


@dataclass(frozen=True)
class Column:
    """How one number or name of each row is shown.

    Attributes:
        key: the rows' key for the value.
        heading: shown above the column.
        digits: decimals. A row with `<key>_low` and `<key>_high` is rounded by that interval instead, unless
            `aligned`. None without an interval: three decimals.
        aligned: always use `digits`, so that decimal points line up.
        rounded_by: the key whose interval determines the decimals; by default the column's own.
        percent: a share, shown as a percentage.
        interval: show `<key>_low` to `<key>_high` instead of the value.
        sign: show the plus sign of positive numbers.
        significant: number of significant digits, used for p-values.
        before: a key whose value is shown before this one, with an arrow: untrained → trained.
        bar: show a bar, the longest for the largest value; only in the terminal and in HTML.
        align: `left` for names.
        show: another format of a value, such as `short_name`; CSV keeps the value.
    """

    key: str
    heading: str
    digits: int | None = None
    aligned: bool = False
    rounded_by: str | None = None
    percent: bool = False
    interval: bool = False
    sign: bool = False
    significant: int | None = None
    before: str | None = None
    bar: bool = False
    align: Literal["left", "right"] = "right"
    show: Callable[[object], str] | None = None


@dataclass(frozen=True)
class Table:
    """Columns, rows and a caption."""

    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    caption: str = ""

    def _repr_html_(self) -> str:
        return to_html(self, sortable=False)


def to_terminal(table: Table, *, compact: bool = False) -> rich.table.Table:
    """A table for rich's console; `compact` uses one space between columns instead of two."""
    from rich.table import Table as RichTable
    from rich.text import Text

    grid = RichTable(box=None, pad_edge=False, header_style="bold", collapse_padding=compact)
    for column in table.columns:
        grid.add_column(Text(column.heading), justify=column.align, overflow="fold")
    for row in table.rows:
        grid.add_row(*(Text(_printable(_cell(column, row, table.rows))) for column in table.columns))
    if table.caption:
        grid.caption = Text(table.caption)
        grid.caption_justify = "left"
    return grid


def to_markdown(table: Table) -> str:
    """A GitHub-flavoured Markdown table, followed by its caption."""
    columns = _without_bars(table)
    lines = [[_markdown(column.heading) for column in columns]]
    lines.append([":--" if column.align == "left" else "--:" for column in columns])
    lines += [[_markdown(_cell(column, row, table.rows)) for column in columns] for row in table.rows]
    text = "".join(f"| {' | '.join(cells)} |\n" for cells in lines)
    return text + (f"\n{_markdown(table.caption)}\n" if table.caption else "")


def to_latex(table: Table) -> str:
    r"""A `tabular` in booktabs style (`\usepackage{booktabs}`); within a `table` if there is a caption."""
    columns = _without_bars(table)
    lines = [" & ".join(to_latex_text(column.heading) for column in columns) + r" \\"]
    lines += [
        " & ".join(_latex_cell(column, _cell(column, row, table.rows)) for column in columns) + r" \\"
        for row in table.rows
    ]
    shape = "".join("l" if column.align == "left" else "r" for column in columns)
    parts = [rf"\begin{{tabular}}{{{shape}}}", r"\toprule", lines[0], r"\midrule", *lines[1:], r"\bottomrule"]
    parts.append(r"\end{tabular}")
    if table.caption:
        parts = [r"\begin{table}", r"\centering", rf"\caption{{{to_latex_text(table.caption)}}}", *parts]
        parts.append(r"\end{table}")
    return "\n".join(parts) + "\n"


def to_csv(table: Table) -> str:
    """Keys as headings, values in full precision, with both ends of each interval; None is an empty cell."""
    shown = [key for column in table.columns for key in (column.before, column.key) if key is not None]
    ends = [f"{key}_{end}" for key in shown for end in ("low", "high")]
    keys = [key for key in dict.fromkeys([*shown, *ends]) if key in shown or any(key in row for row in table.rows)]
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(keys)
    writer.writerows([row.get(key) for key in keys] for row in table.rows)
    return stream.getvalue()


def to_html(table: Table, *, sortable: bool = True) -> str:
    """A `<table>`; if sortable, headings are buttons: the page's script sorts by `data-value` and sets `aria-sort`."""
    parts = ['<table class="sortable">' if sortable else "<table>"]
    if table.caption:
        parts.append(f"<caption>{html.escape(table.caption)}</caption>")
    parts.append("<thead><tr>")
    parts += [_html_heading(column, sortable=sortable) for column in table.columns]
    parts.append("</tr></thead>\n<tbody>")
    for row in table.rows:
        cells = "".join(_html_cell(column, row, table.rows, place) for place, column in enumerate(table.columns))
        parts.append(f"<tr>{cells}</tr>")
    parts.append("</tbody></table>")
    return "\n".join(parts)


def to_latex_text(text: str) -> str:
    """Text with LaTeX's special characters escaped."""
    return "".join(_LATEX.get(letter, letter) for letter in text if letter.isprintable() or letter == " ")


def digits_of(low: float, high: float) -> int:
    """Number of decimals for an interval: two digits of its width."""
    width = high - low
    return 3 if width <= 0 else min(6, max(0, 1 - math.floor(math.log10(width))))


_ARROW = "→"
_LATEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "–": "--",
    "—": "---",
    "−": "$-$",
    "±": r"$\pm$",
    "×": r"$\times$",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "←": r"$\leftarrow$",
    "→": r"$\rightarrow$",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "↔": r"$\leftrightarrow$",
    "⇐": r"$\Leftarrow$",
    "⇒": r"$\Rightarrow$",
    "…": r"\ldots{}",
}
_MARKDOWN = re.compile(r"([\\`*_\[\]|~$#])")
_MINUS = re.compile(r"(?<![\w.])-(?=\d)")


def _without_bars(table: Table) -> list[Column]:
    return [column for column in table.columns if not column.bar]


def _cell(column: Column, row: Row, rows: Sequence[Row]) -> str:
    """The content of a cell, before escaping."""
    value = row.get(column.key)
    if column.bar:
        return "█" * round(_BAR * _share(column, row, rows))
    if column.interval:
        low, high = _ends(column.key, row) or (None, None)
        return ABSENT if low is None else f"{_written(column, row, low)} to {_written(column, row, high)}"
    text = _written(column, row, value)
    return f"{_written(column, row, row.get(column.before))} {_ARROW} {text}" if column.before else text


def _written(column: Column, row: Row, value: object) -> str:
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return ABSENT
    if column.show is not None:
        return column.show(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value)
    return f"{value:{'+' if column.sign else ''}{_format(column, row, value)}}"


def _format(column: Column, row: Row, value: float) -> str:
    if column.percent:
        return f"z.{column.digits or 0}%"
    if column.significant is not None:
        return f".{column.significant}g"
    return "," if isinstance(value, int) else f"z.{_decimals(column, row)}f"  # z: no negative zero


def _decimals(column: Column, row: Row) -> int:
    ends = _ends(column.rounded_by or column.key, row)
    if ends is not None and not (column.aligned and column.digits is not None):
        return digits_of(*ends)
    return 3 if column.digits is None else column.digits


def _ends(key: str, row: Row) -> tuple[float, float] | None:
    low, high = row.get(f"{key}_low"), row.get(f"{key}_high")
    known = isinstance(low, (int, float)) and isinstance(high, (int, float))
    return (float(low), float(high)) if known else None  # type: ignore[arg-type]


def _share(column: Column, row: Row, rows: Sequence[Row]) -> float:
    values = [value for one in rows if isinstance(value := one.get(column.key), (int, float))]
    value = row.get(column.key)
    largest = max([*values, 0.0])
    return max(0.0, value / largest) if isinstance(value, (int, float)) and largest > 0 else 0.0


def _printable(text: str) -> str:
    """Replaces control characters, so that a name cannot affect the terminal."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)


def _markdown(text: str) -> str:
    return _MARKDOWN.sub(r"\\\1", html.escape(" ".join(text.split()), quote=False))


def _latex_cell(column: Column, text: str) -> str:
    return to_latex_text(text) if column.align == "left" else _MINUS.sub("$-$", to_latex_text(text))


def _html_heading(column: Column, *, sortable: bool) -> str:
    heading = html.escape(column.heading)
    if not sortable or not heading:
        return f'<th scope="col" class="{column.align}">{heading}</th>'
    return f'<th scope="col" class="{column.align}" aria-sort="none"><button type="button">{heading}</button></th>'


def _html_cell(column: Column, row: Row, rows: Sequence[Row], place: int) -> str:
    value = row.get(column.key)
    known = value is not None and not column.interval
    ends = _ends(column.key, row) if column.interval else None
    sorted_by = value if known else ends[0] if ends else ""
    attributes = f'class="{column.align}" data-value="{html.escape(str(sorted_by))}"'
    if column.bar:
        content = f'<span class="bar" style="width:{_share(column, row, rows):.1%}"></span>'
    else:
        text = html.escape(_cell(column, row, rows))
        content = f"<span>{text}</span>" if column.align == "left" else text
    if place == 0:
        return f'<th scope="row" {attributes}>{content}</th>'
    return f"<td {attributes}>{content}</td>"
