"""Diff-eRank, MNN and reduced loss compared with accuracy on question answering."""

from __future__ import annotations

from typing import Any

import polars as pl

from rankscope.studies.accuracy import accuracy_in_words, measure_accuracy, with_accuracy
from rankscope.studies.associations import correlated
from rankscope.studies.conditions import Cells, Condition, Grid, measure, with_published
from rankscope.studies.prediction import predicted
from rankscope.studies.published import first_printed, printed
from rankscope.studies.sentences import over_sizes
from rankscope.studies.study import Figure, Findings, Request, Study

_TABLES = ("diff_erank.table1", "mnn.table10")
_METRICS = ("diff_erank", "effective_rank", "reduced_loss", "loss", "matrix_nuclear_norm", "normalized_matrix_entropy")


GRID = Grid((Condition("benchmarks"),))


def conduct(request: Request) -> Findings:
    """Measures questions with their correct answers, and accuracy on the same questions."""
    accuracy = measure_accuracy(request, request.models, default=request.data)  # first: a wrong task fails early
    measured = measure(request, GRID)
    table = with_accuracy(measured.table, accuracy, per_dataset=True)
    table = with_published(table, _published).sort("dataset", "family", "parameters", maintain_order=True)
    sentences = list(over_sizes(table))
    more: dict[str, pl.DataFrame] = {}
    if "accuracy" in table.columns:
        more["correlations"], said = correlated(table, "dataset", _METRICS, "accuracy")
        more["prediction"], told = predicted(table, "dataset", _METRICS, "accuracy")
        sentences += said + told
    return Findings(table, tuple(sentences), measured.notes, more)


def _published(row: dict[str, Any]) -> Cells:
    model, data = row["model"], row["dataset"]
    return {
        "accuracy": first_printed(_TABLES, model, data, "accuracy"),
        "reduced_loss": printed("diff_erank.table1", model, data, "reduced_loss"),
        "diff_erank": printed("diff_erank.table1", model, data, "diff_erank"),
        "matrix_nuclear_norm": printed("mnn.table10", model, data, "matrix_nuclear_norm"),
        "normalized_matrix_entropy": printed("mnn.table10", model, data, "matrix_entropy"),
    }


STUDY = Study(
    name="benchmarks",
    question="Do Diff-eRank, MNN and reduced loss follow accuracy on questions with known answers?",
    source="Diff-eRank, table 1; Matrix Nuclear-Norm, tables 9 and 10",
    models=("family:opt",),
    data=("openbookqa", "piqa", "winogrande"),
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
        "accuracy",
    ),
    figure=Figure(
        x="parameters",
        metrics=("diff_erank", "reduced_loss", "matrix_nuclear_norm", "accuracy"),
        series="family",
        log_x=True,
        panels_by="dataset",
    ),
    conduct=conduct,
    grids=lambda _: (GRID,),
    also_measures=lambda request: accuracy_in_words(request, default=request.data),
    decides=("sample_seed",),  # the harness answers the first questions
    published=_TABLES,
    options=("tasks",),
)
