"""Shared code of studies: evaluating conditions, and common columns of tables."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import polars as pl

from rankscope.metrics import noise_value
from rankscope.runs import Effect, Run, child, differing, evaluate_each
from rankscope.settings import changed
from rankscope.statistics import Note, common_texts, paired_on
from rankscope.studies.study import Request

_LONGEST_NAME = 80
Cells = dict[str, float | None]

_PRINTED_LAYERS = ("first", "middle", "last")


@dataclass(frozen=True)
class Condition:
    """One evaluation of a study.

    Attributes:
        name: Name of its run's folder.
        changes: Changes to the settings.
        columns: Columns that identify the condition's rows of the table.
    """

    name: str
    changes: Mapping[str, object] = field(default_factory=dict)
    columns: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Grid:
    """Models, and the conditions under which all of them are evaluated.

    Attributes:
        conditions: The conditions; each is one evaluation.
        models: The models. Default: the request's models.
    """

    conditions: tuple[Condition, ...]
    models: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Measured:
    """Evaluated conditions.

    Attributes:
        table: Summary rows of all conditions, with the conditions' columns.
        notes: Notes that fired, each once.
        runs: Runs by condition.
    """

    table: pl.DataFrame
    notes: tuple[Note, ...]
    runs: Mapping[str, Run]


def measure(request: Request, grid: Grid) -> Measured:
    """Evaluates each condition in its own folder; existing results are not computed again.

    A model is loaded once for all conditions.
    """
    evaluated = evaluate_grid(request, grid)
    runs = {one.name: run for one, run in zip(grid.conditions, evaluated, strict=True)}
    rows = [dict(one.columns) | row for one in grid.conditions for row in runs[one.name].summary_rows()]
    table = pl.DataFrame(rows, infer_schema_length=None)
    return Measured(table, distinct_notes([*(run.notes() for run in evaluated), _made_apart(evaluated)]), runs)


def evaluate_grid(request: Request, grid: Grid) -> list[Run]:
    """One run per condition; only a part of each if the request is for a shard."""
    settings = [
        (child(request.folder, "runs", one.name), changed(request.settings, dict(one.changes)))
        for one in grid.conditions
    ]
    names = request.models if grid.models is None else grid.models
    return evaluate_each(names, request.data, settings, request.progress, execution=request.execution)


def _made_apart(runs: Sequence[Run]) -> list[Note]:
    """A note if conditions were evaluated with different versions or hardware; other differences are intended."""
    different = differing(runs)
    values = {name: different.values[name] for name in different.of(Effect.ROUNDING)}
    return replace(different, values=values).notes()


def distinct_notes(found: Iterable[Sequence[Note]]) -> tuple[Note, ...]:
    """Each note once, by its text."""
    return tuple({note.text: note for notes in found for note in notes}.values())


def with_published(table: pl.DataFrame, published: Callable[[dict[str, Any]], Cells]) -> pl.DataFrame:
    """Adds a column `<metric>_published` for each metric that a paper prints for at least one row.

    The papers report the last layer, and layers that they call first and middle; other layers get no value.
    """
    cells = [
        published(row) if (row.get("called") or row.get("layer", "last")) in _PRINTED_LAYERS else {}
        for row in table.rows(named=True)
    ]
    names = dict.fromkeys(name for cell in cells for name, value in cell.items() if value is not None)
    columns = {name: pl.Series([cell.get(name) for cell in cells], dtype=pl.Float64) for name in names}
    return table.with_columns(**{f"{name}_published": column for name, column in columns.items()})


def with_noise(table: pl.DataFrame, metrics: Sequence[str], tokens: str) -> pl.DataFrame:
    """Adds a column `<metric>_noise`: the value for isotropic noise with the row's number of tokens and hidden size.

    Args:
        table: Rows with `hidden_size`.
        metrics: Metrics that are defined for noise.
        tokens: The column with the numbers of tokens.
    """
    shapes = list(zip(table[tokens], table["hidden_size"], strict=True))
    columns = {
        f"{metric}_noise": pl.Series([noise_value(metric, n, d) for n, d in shapes], dtype=pl.Float64)
        for metric in metrics
    }
    return table.with_columns(**columns)


def with_tokens_per_text(table: pl.DataFrame) -> pl.DataFrame:
    """Adds the mean length of a text in tokens; null without texts."""
    return table.with_columns(tokens_per_text=pl.when(pl.col("texts") > 0).then(pl.col("tokens") / pl.col("texts")))


def with_differences(table: pl.DataFrame, runs: Mapping[str, Run], base: str, metrics: Sequence[str]) -> pl.DataFrame:
    """Adds each condition's paired difference from the base, for each metric, over their common texts.

    The columns are `<metric>_difference`, with `_low` and `_high` (bootstrap over texts) and `_p` (sign-flip test).
    They are null in rows of the base. The table needs a column `condition` with the runs' names.
    """
    measured = {name: run.measurements().filter(pl.col("role") == "trained") for name, run in runs.items()}
    cells = [
        {} if row["condition"] == base else _differences(measured[base], measured[row["condition"]], row, metrics)
        for row in table.rows(named=True)
    ]
    names = dict.fromkeys(name for cell in cells for name in cell)
    columns = {name: pl.Series([cell.get(name) for cell in cells], dtype=pl.Float64) for name in names}
    return table.with_columns(**columns)


def _differences(base: pl.DataFrame, other: pl.DataFrame, row: dict[str, Any], metrics: Sequence[str]) -> Cells:
    keys = [pl.col(name) == row[name] for name in ("model", "dataset", "layer")]
    common = common_texts(base.filter(keys), other.filter(keys))
    cells: Cells = {}
    for metric in metrics:
        paired = paired_on(common, metric)
        if paired is None:
            continue
        cells |= {
            f"{metric}_difference": paired.difference,
            f"{metric}_difference_low": paired.low,
            f"{metric}_difference_high": paired.high,
            f"{metric}_difference_p": paired.p_value,
        }
    return cells


def folder_name(name: str) -> str:
    """A short file name for a name, with a few digits of a hash if characters were replaced or cut."""
    plain = re.sub(r"[^A-Za-z0-9.@-]+", "-", name).strip("-.")[-_LONGEST_NAME:]
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return plain if plain == name else f"{plain}-{digest}".lstrip("-.")
