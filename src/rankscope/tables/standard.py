"""The tables that every run has: its headline, its differences from other runs, its way through training."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from rankscope.tables.table import Column, Row, Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rankscope.statistics import Summary


def short_name(model: object) -> str:
    """A path's last part; hub ids stay whole."""
    path = Path(str(model))
    is_path = path.is_absolute() or os.path.exists(path)  # noqa: PTH110 (a name need not be fit for a path)
    return path.name.removesuffix(".gguf") if is_path else str(model)


def short_names(models: Iterable[object]) -> dict[str, str]:
    """A short name for each model; a reference stays whole where another has the same short name."""
    references = dict.fromkeys(str(model) for model in models)
    count = Counter(short_name(reference) for reference in references)
    return {one: short_name(one) if count[short_name(one)] == 1 else one for one in references}


_MODEL = Column("model", "model", align="left", show=short_name)


def model_column(rows: Sequence[Row]) -> Column:
    """The models of rows by names that tell them apart."""
    names = short_names(row["model"] for row in rows)
    return replace(_MODEL, show=lambda model: names[str(model)])


_DATA = Column("dataset", "data", align="left")
_LAYER = Column("layer", "layer")
_ENTROPY = Column("normalized_matrix_entropy", "H/ln d", digits=4, aligned=True)
_NORM = Column("matrix_nuclear_norm", "MNN", digits=4, aligned=True)
_LOSS = Column("loss", "loss", digits=3, aligned=True)
_RANK = Column("effective_rank", "eRank", digits=2, aligned=True)
_RANKS = Column(
    "effective_rank", "eRank untrained → trained", digits=2, aligned=True, before="effective_rank_untrained"
)
_INITIALIZER = Column("initializer", "twin's initializer", align="left")
_DIFF_ERANK = Column("diff_erank", "Diff-eRank", digits=2, aligned=True)


def summary_table(rows: Sequence[Summary]) -> Table:
    """The headline table: both terms of Diff-eRank beside it, then H/ln d, MNN and loss.

    The interval is Diff-eRank's over texts, without twins the effective rank's; "of noise" is the trained
    effective rank over that of isotropic noise of the same shape. Where a twin's initialiser is assumed, a column
    says so.
    """
    twins = any("effective_rank_untrained" in row for row in rows)
    assumed = {row.get("initializer_source") for row in rows} - {None, "configuration", "unknown"}
    columns = [model_column(rows), _DATA]
    columns += [_LAYER] if {row["layer"] for row in rows} != {"last"} else []
    columns += [Column("texts", "texts"), Column("tokens", "tokens")]
    columns += [_RANKS, _DIFF_ERANK] if twins else [_RANK]
    key = "diff_erank" if any(row.get("diff_erank") is not None for row in rows) else "effective_rank"
    columns.append(Column(key, "95 % interval", digits=2, aligned=True, interval=True))
    columns += [Column("effective_rank_over_noise", "of noise", percent=True), _ENTROPY, _NORM, _LOSS]
    if any(not str(source).startswith("--config-from") for source in assumed):
        columns.append(_INITIALIZER)
    return Table(tuple(columns), tuple(row | {"initializer": _initializer(row)} for row in rows))


def _initializer(row: Summary) -> str | None:
    """The range of a twin's weights and where it comes from."""
    value, source = row.get("initializer_range"), row.get("initializer_source")
    if not isinstance(value, (int, float)):
        return None
    return f"{value:.4g} ({'assumed' if source == 'flag' else source})"


def differences_table(rows: Sequence[Row]) -> Table:
    """Differences as `Comparison.rows` has them: both values, the difference, its p-value.

    From the first model; or, where a setting differs instead of the model, from the first run, with a column for it.
    """
    setting = rows[0].get("setting") if rows else None
    told_by = () if setting is None else (Column("model_setting", str(setting), align="left"),)
    columns = (
        model_column(rows),
        *told_by,
        _DATA,
        _LAYER,
        Column("metric", "metric", align="left"),
        Column("reference_value", "reference", rounded_by="difference"),
        Column("model_value", "model's" if setting is None else "changed", rounded_by="difference"),
        Column("difference", "difference", sign=True),
        Column("difference", "95 % interval", sign=True, interval=True),
        Column("p_value", "p", significant=2),
        Column("texts", "texts"),
    )
    caption = f"differences from {_base_of(rows[0])}" if rows else ""
    return Table(columns, tuple(_difference_row(row) for row in rows), caption)


def _base_of(row: Row) -> str:
    if row.get("setting") is None:
        return short_name(row["reference"])
    return f"the same model with {row['setting']} {row['reference_setting']}"


def _difference_row(row: Row) -> Row:
    """With the interval's ends under the difference's name."""
    return {**row, "difference_low": row["low"], "difference_high": row["high"]}


def trajectory_table(rows: Sequence[Summary], steps: Sequence[int]) -> Table:
    """One model through its training: loss and effective rank at each checkpoint, with a bar for the rank."""
    columns = (
        Column("model", "checkpoint", align="left", show=short_name),
        Column("step", "step"),
        _LOSS,
        _RANK,
        _ENTROPY,
        _NORM,
        Column("effective_rank", "", bar=True, align="left"),
    )
    return Table(columns, tuple(row | {"step": step} for row, step in zip(rows, steps, strict=True)))
