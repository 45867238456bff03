"""Compares algorithm (a), exp of the mean entropy, with algorithm (b), the mean of effective ranks."""

from __future__ import annotations

from typing import Any

import polars as pl

from rankscope.statistics import associations
from rankscope.studies.conditions import Cells, Condition, Grid, measure, with_published
from rankscope.studies.published import printed
from rankscope.studies.sentences import at, by_group_and_layer
from rankscope.studies.study import Figure, Findings, Request, Study

GRID = Grid((Condition("aggregation"),))


def conduct(request: Request) -> Findings:
    """One evaluation; both algorithms use the same texts."""
    measured = measure(request, GRID)
    table = with_published(measured.table, _published).sort("dataset", "family", "parameters", maintain_order=True)
    table = table.with_columns(
        b_over_a=pl.col("effective_rank_b").cast(pl.Float64) / pl.col("effective_rank").cast(pl.Float64)
    )
    return Findings(table, tuple(_sentences(table)), measured.notes)


def _published(row: dict[str, Any]) -> Cells:
    columns = {"diff_erank": "algorithm_a", "diff_erank_b": "algorithm_b"}
    if row["dataset"] != "dolly-15k":
        return {}
    return {ours: printed("diff_erank.table9", row["model"], column) for ours, column in columns.items()}


def _sentences(table: pl.DataFrame) -> list[str]:
    ratios = table["b_over_a"].drop_nulls().to_list()
    found = []
    if ratios:
        found.append(
            f"Trained eRank by (b) is {min(ratios):.3f} to {max(ratios):.3f} times that by (a); by Jensen's inequality "
            "it is never lower, and the gap grows with the spread of lengths."
        )
    if "diff_erank" not in table.columns:
        return found
    known = table.drop_nulls(["diff_erank", "diff_erank_b"])
    for (dataset,), layer, pairs in by_group_and_layer(known, "dataset"):
        found += [
            f"On {dataset}{at(layer)}, Kendall's tau of the two rankings of {tau.models} models is {tau.value:+.2f}."
            for tau in associations(pairs.rows(named=True), "diff_erank", "diff_erank_b", methods=("kendall",))
        ]
    return found


STUDY = Study(
    name="aggregation",
    question="Does it matter whether a data set's effective rank is exp(mean H), algorithm (a), or mean exp H, (b)?",
    source="Diff-eRank, figure 4 and table 9",
    models=("family:opt",),
    data=("dolly-15k",),
    columns=(
        "dataset",
        "model",
        "parameters",
        "texts",
        "effective_rank",
        "effective_rank_b",
        "b_over_a",
        "diff_erank",
        "diff_erank_b",
    ),
    figure=Figure(
        x="parameters", metrics=("diff_erank", "diff_erank_b"), series="family", log_x=True, panels_by="dataset"
    ),
    conduct=conduct,
    grids=lambda _: (GRID,),
    published=("diff_erank.table9",),
)
