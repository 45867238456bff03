"""A column of a published leaderboard."""

from __future__ import annotations

import math
from pathlib import Path

from rankscope.errors import DataError
from rankscope.texts.files import read_path


def read_leaderboard(path: Path, column: str, name_column: str | None = None) -> dict[str, float]:
    """Numbers by model, in the file's order; models whose cell is empty have no entry.

    Args:
        path: a CSV file, or any other file of rows.
        column: the numbers'.
        name_column: the models' names'; the first if left out.

    Raises:
        DataError: no such column, a cell that is no finite number, or a name twice.
    """
    numbers: dict[str, float] = {}
    seen: set[str] = set()
    for where, row in read_path(path):
        names = next(iter(row)) if name_column is None else name_column
        for wanted in (column, names):
            if wanted not in row:
                raise DataError(f"{path}: no column {wanted!r}: columns there: {', '.join(map(repr, row))}")
        name, cell = str(row[names]), row[column]
        if name in seen:
            raise DataError(f"{where}: {name!r} is there twice")
        seen.add(name)
        if cell is None or cell == "":
            continue
        try:
            number = float(cell)
        except (TypeError, ValueError):
            number = math.nan
        if not math.isfinite(number):
            raise DataError(f"{where}: {column} of {name!r} is {cell!r}: expected a number")
        numbers[name] = number
    if not seen:
        raise DataError(f"{path}: no rows")
    return numbers
