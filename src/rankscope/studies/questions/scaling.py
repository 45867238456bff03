"""Diff-eRank, reduced loss, entropy and nuclear norm against model size."""

from __future__ import annotations

from typing import Any

from rankscope.studies.conditions import Cells, Condition, Grid, measure, with_published
from rankscope.studies.published import first_printed, printed
from rankscope.studies.sentences import over_sizes
from rankscope.studies.study import Figure, Findings, Request, Study

GRID = Grid((Condition("scaling"),))


def conduct(request: Request) -> Findings:
    """One evaluation of all models on all data."""
    measured = measure(request, GRID)
    table = with_published(measured.table, published).sort("dataset", "family", "parameters", maintain_order=True)
    return Findings(table, tuple(over_sizes(table)), measured.notes)


def published(row: dict[str, Any]) -> Cells:
    """The papers' values for a model on a data set."""
    model, data = row["model"], row["dataset"]
    cells: Cells = {name: printed("diff_erank.table6", model, data, name) for name in ("diff_erank", "reduced_loss")}
    of_norms = ("mnn.table10", "mnn.table11")
    return cells | {ours: first_printed(of_norms, model, data, column) for column, ours in _OURS.items()}


_OURS = {
    "matrix_entropy": "normalized_matrix_entropy",
    "matrix_nuclear_norm": "matrix_nuclear_norm",
    "loss": "loss",
    "perplexity": "perplexity",
}

STUDY = Study(
    name="scaling",
    question="How do Diff-eRank, reduced loss, matrix entropy and Matrix Nuclear-Norm change with model size?",
    source="Diff-eRank, figure 1 and table 6; Matrix Nuclear-Norm, tables 10 and 11",
    models=("family:opt",),
    data=("dolly-15k", "wikipedia", "openwebtext2", "hh-rlhf"),
    columns=(
        "dataset",
        "model",
        "parameters",
        "texts",
        "effective_rank_untrained",
        "effective_rank",
        "diff_erank",
        "erank_ratio",
        "reduced_loss",
        "normalized_matrix_entropy",
        "matrix_nuclear_norm",
        "loss",
        "perplexity",
    ),
    figure=Figure(
        x="parameters",
        metrics=("diff_erank", "effective_rank", "normalized_matrix_entropy", "matrix_nuclear_norm", "loss"),
        series="family",
        log_x=True,
        panels_by="dataset",
    ),
    conduct=conduct,
    grids=lambda _: (GRID,),
    published=("diff_erank.table6", "mnn.table10", "mnn.table11"),
)
