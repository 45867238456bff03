"""Reads scores from a published leaderboard."""

from __future__ import annotations

import math
from pathlib import Path

from rankscope.errors import DataError
from rankscope.texts.files import read_path


def read_leaderboard(path: Path, column: str, name_column: str | None = None) -> dict[str, float]:
    """Scores by model, in the file's order; models with an empty cell are omitted.

    Args:
        path: a CSV file, or any other file of rows.
        column: the column with the scores.
        name_column: the column with the models' names; None for the first one.

    Raises:
        DataError: a column is missing, a score is not a finite number, or a name occurs twice.
    """
    numbers: dict[str, float] = {}
    seen: set[str] = set()
    for where, row in read_path(path):
        names = next(iter(row)) if name_column is None else name_column
        for wanted in (column, names):
            if wanted not in row:
                raise DataError(f"{path}: no column {wanted!r}; available columns: {', '.join(map(repr, row))}")
        name, cell = str(row[names]), row[column]
        if name in seen:
            raise DataError(f"{where}: {name!r} occurs twice")
        seen.add(name)
        if cell is None or cell == "":
            continue
        try:
            number = float(cell)
        except (TypeError, ValueError):
            number = math.nan
        if not math.isfinite(number):
            raise DataError(f"{where}: {column} of {name!r} must be a number, got {cell!r}")
        numbers[name] = number
    if not seen:
        raise DataError(f"{path}: no rows")
    return numbers
