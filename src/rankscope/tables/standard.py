"""The tables that every run has: headline, differences from other runs, trajectory over training."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from rankscope.metrics import metric_names
from rankscope.statistics import POOLED, summary_metrics
from rankscope.tables.table import Column, Row, Table
from rankscope.tables.vocabulary import INTERVAL, column, term

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rankscope.statistics import Summary


def short_name(model: object) -> str:
    """The last part of a path; hub ids stay whole."""
    path = Path(str(model))
    is_path = path.is_absolute() or os.path.exists(path)  # noqa: PTH110 (a name need not be a valid path)
    return path.name.removesuffix(".gguf") if is_path else str(model)


def short_names(models: Iterable[object]) -> dict[str, str]:
    """A short name for each model; a reference stays whole if another one has the same short name."""
    references = dict.fromkeys(str(model) for model in models)
    count = Counter(short_name(reference) for reference in references)
    return {one: short_name(one) if count[short_name(one)] == 1 else one for one in references}


def model_column(rows: Sequence[Row]) -> Column:
    """The column of models, with unique short names."""
    names = short_names(row["model"] for row in rows)
    return column("model", show=lambda model: names[str(model)])


def summary_table(rows: Sequence[Summary]) -> Table:
    """The headline table: Diff-eRank with both its terms, then H/ln d, MNN, loss and explicitly requested metrics.

    The interval over texts is Diff-eRank's, or the effective rank's if there are no twins; "vs noise" is the trained
    effective rank as a share of that of isotropic noise of the same shape. If a twin's initialiser is assumed, a
    column says so.
    """
    twins = any("effective_rank_untrained" in row for row in rows)
    assumed = {row.get("initializer_source") for row in rows} - {None, "configuration", "unknown"}
    columns = [model_column(rows), column("dataset")]
    columns += [column("layer")] if {row["layer"] for row in rows} != {"last"} else []
    columns += [column("texts"), column("tokens")]
    if twins:
        both = f"{term('effective_rank_untrained').label} → trained"
        columns.append(column("effective_rank", heading=both, before="effective_rank_untrained", aligned=True))
        columns.append(column("diff_erank", aligned=True))
    else:
        columns.append(column("effective_rank", aligned=True))
    key = "diff_erank" if any(row.get("diff_erank") is not None for row in rows) else "effective_rank"
    columns.append(column(key, heading=INTERVAL, interval=True, aligned=True))
    columns.append(column("effective_rank_over_noise", aligned=True))
    columns += [column(name, aligned=True) for name in ("normalized_matrix_entropy", "matrix_nuclear_norm", "loss")]
    default = metric_names(default_only=True)
    columns += [column(name, aligned=True) for name in _measured(rows) if name not in default]
    columns += [column(name, aligned=True) for name in POOLED if any(row.get(name) is not None for row in rows)]
    if any(not str(source).startswith("--config-from") for source in assumed):
        columns.append(column("initializer"))
    return Table(tuple(columns), tuple(row | {"initializer": _initializer(row)} for row in rows))


def metrics_table(rows: Sequence[Summary]) -> Table:
    """All measured metrics, each with its interval; effective rank also against twins and noise."""
    columns = [model_column(rows), column("dataset"), column("layer"), column("texts")]
    for name in _measured(rows):
        columns += [column(name), column(name, heading=INTERVAL, interval=True)]
    for name in ("diff_erank", "erank_ratio", "effective_rank_over_noise"):
        if any(row.get(name) is not None for row in rows):
            columns += [column(name), column(name, heading=INTERVAL, interval=True)]
    for name in POOLED:
        columns += [column(key) for key in (name, f"{name}_untrained") if any(row.get(key) is not None for row in rows)]
    return Table(tuple(columns), tuple(rows))


def _measured(rows: Sequence[Summary]) -> list[str]:
    """The metrics for which at least one row has a number, in the order of a summary."""
    return [metric.name for metric in summary_metrics() if any(row.get(metric.name) is not None for row in rows)]


def _initializer(row: Summary) -> str | None:
    """The initializer range of a twin and its source."""
    value, source = row.get("initializer_range"), row.get("initializer_source")
    if not isinstance(value, (int, float)):
        return None
    return f"{value:.4g} ({'assumed' if source == 'flag' else source})"


def differences_table(rows: Sequence[Row]) -> Table:
    """Differences as in `Comparison.rows`: both values, the difference, its p-value.

    The reference is the first model; or, if a setting differs instead of the model, the first run, with a column for
    the setting.
    """
    setting = rows[0].get("setting") if rows else None
    told_by = () if setting is None else (column("model_setting", heading=str(setting), align="left"),)
    columns = (
        model_column(rows),
        *told_by,
        column("dataset"),
        column("layer"),
        column("metric"),
        column("reference_value", heading="reference", rounded_by="difference"),
        column("model_value", heading="model's" if setting is None else "changed", rounded_by="difference"),
        column("difference", sign=True),
        column("difference", heading=INTERVAL, sign=True, interval=True),
        column("p_value", heading="p", significant=2),
        column("texts"),
    )
    caption = f"differences from {_base_of(rows[0])}" if rows else ""
    return Table(columns, tuple(_difference_row(row) for row in rows), caption)


def _base_of(row: Row) -> str:
    if row.get("setting") is None:
        return short_name(row["reference"])
    return f"the same model with {row['setting']} {row['reference_setting']}"


def _difference_row(row: Row) -> Row:
    """The row with the interval's ends also as `difference_low` and `difference_high`."""
    return {**row, "difference_low": row["low"], "difference_high": row["high"]}


_OF_TRAINING = ("loss", "effective_rank", "normalized_matrix_entropy", "matrix_nuclear_norm")


def trajectory_table(rows: Sequence[Summary], steps: Sequence[int]) -> Table:
    """One model over its training: loss and effective rank at each checkpoint, with a bar for the rank."""
    columns = (
        column("model", heading="checkpoint", show=short_name),
        column("step"),
        *(column(name, aligned=True) for name in _OF_TRAINING),
        column("effective_rank", heading="", bar=True, align="left"),
    )
    return Table(columns, tuple(row | {"step": step} for row, step in zip(rows, steps, strict=True)))


def checkpoints_table(rows: Sequence[Summary]) -> Table:
    """The checkpoints of one training, one row per data set and layer.

    Args:
        rows: summary rows with `checkpoint` and `step`.
    """
    told_by = [column(key) for key in ("dataset", "layer") if len({row[key] for row in rows}) > 1]
    columns = [column("checkpoint"), column("step"), *told_by, column("texts")]
    columns += [column(name, aligned=True) for name in _OF_TRAINING]
    if any(row.get("diff_erank") is not None for row in rows):
        columns += [column("diff_erank", aligned=True), column("diff_erank", heading=INTERVAL, interval=True)]
    return Table(tuple(columns), tuple(rows))


def whole_table(rows: Sequence[Row]) -> Table:
    """Every key of the rows as a column of the same name, in order of appearance."""
    keys = dict.fromkeys(key for row in rows for key in row)
    return Table(tuple(Column(key, key) for key in keys), tuple(rows))
