"""Metrics at every layer, with the papers' first, middle and last layer marked."""

from __future__ import annotations

from typing import Any

import polars as pl

from rankscope.studies.conditions import Cells, Condition, Grid, measure, with_published
from rankscope.studies.published import printed
from rankscope.studies.study import Figure, Findings, Request, Study

GRID = Grid((Condition("layers", {"layers": "all"}),))


def conduct(request: Request) -> Findings:
    """One evaluation at all layers."""
    measured = measure(request, GRID)
    table = _with_depth(measured.table)
    return Findings(with_published(table, _published), tuple(_sentences(table)), measured.notes)


def _with_depth(table: pl.DataFrame) -> pl.DataFrame:
    """Adds the depth of each layer, from 0 to 1, and the paper's name for it."""
    group = ["model", "dataset"]
    table = table.with_columns(block=pl.int_range(pl.len()).over(group), blocks=(pl.len() - 1).over(group))
    named = (
        pl.when(pl.col("layer") == "last")
        .then(pl.lit("last"))
        .when(pl.col("block") == 1)
        .then(pl.lit("first"))
        .when(pl.col("block") == (pl.col("blocks") // 2).clip(1))
        .then(pl.lit("middle"))
    )
    return table.with_columns(depth=pl.col("block") / pl.col("blocks"), called=named)


def _published(row: dict[str, Any]) -> Cells:
    if row["called"] is None or row["dataset"] != "dolly-15k":
        return {}
    return {"diff_erank": printed("diff_erank.table4", row["model"], row["called"])}


def _sentences(table: pl.DataFrame) -> list[str]:
    found = []
    for (model, dataset), rows in table.group_by("model", "dataset", maintain_order=True):
        key, called = _told(rows)
        usable = rows.drop_nulls(key)
        if usable.is_empty():
            continue
        top = usable.sort(key, descending=True, nulls_last=True).row(0, named=True)
        values = {row["called"]: row[key] for row in usable.rows(named=True) if row["called"]}
        listed = ", ".join(f"{name} {value:.2f}" for name, value in values.items())
        found.append(
            f"{model} on {dataset}: {called} is {listed}, with its maximum at layer {top['layer']} ({top[key]:.2f})."
        )
    key, called = _told(table)
    for dataset, rows in table.drop_nulls(key).group_by("dataset", maintain_order=True):
        rises = {
            name: _rises(rows.filter(pl.col("called") == name).sort("parameters"), key)
            for name in ("first", "middle", "last")
        }
        if rows["model"].n_unique() > 1:
            yes = [name for name, rising in rises.items() if rising]
            found.append(
                f"On {dataset[0]}, {called} rises with every increase in size at: {', '.join(yes) or 'no named layer'}."
            )
    return found


def _told(rows: pl.DataFrame) -> tuple[str, str]:
    """Column and name of Diff-eRank if available, otherwise those of the effective rank."""
    has_twins = "diff_erank" in rows.columns and rows["diff_erank"].null_count() < rows.height
    return ("diff_erank", "Diff-eRank") if has_twins else ("effective_rank", "eRank")


def _rises(rows: pl.DataFrame, key: str) -> bool:
    return rows.height > 1 and bool((rows[key].diff().drop_nulls() > 0).all())


STUDY = Study(
    name="layers",
    question="At which layers does Diff-eRank distinguish models of different sizes?",
    source="Diff-eRank, table 4",
    models=("family:opt",),
    data=("dolly-15k",),
    columns=(
        "dataset",
        "model",
        "layer",
        "called",
        "effective_rank_untrained",
        "effective_rank",
        "diff_erank",
        "normalized_matrix_entropy",
    ),
    figure=Figure(
        x="depth",
        metrics=("effective_rank_untrained", "effective_rank", "diff_erank"),
        series="model",
        panels_by="dataset",
    ),
    conduct=conduct,
    grids=lambda _: (GRID,),
    decides=("layers",),
    published=("diff_erank.table4",),
)
