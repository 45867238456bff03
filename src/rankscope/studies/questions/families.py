"""Several families on one data set, with mean accuracy and correlations."""

from __future__ import annotations

from typing import Any

from rankscope.studies.accuracy import accuracy_in_words, measure_accuracy, with_accuracy
from rankscope.studies.associations import correlated
from rankscope.studies.conditions import Cells, Condition, Grid, measure, with_published
from rankscope.studies.prediction import predicted
from rankscope.studies.published import first_printed
from rankscope.studies.sentences import over_sizes
from rankscope.studies.study import Figure, Findings, Request, Study

_TASKS = ("winogrande", "piqa")
_METRICS = (
    "diff_erank",
    "erank_ratio",
    "effective_rank",
    "effective_rank_untrained",
    "reduced_loss",
    "loss",
    "matrix_nuclear_norm",
    "normalized_matrix_entropy",
)
_TABLES = ("diff_erank.table7", "diff_erank.table8")


GRID = Grid((Condition("families"),))


def conduct(request: Request) -> Findings:
    """Evaluates all models and measures their accuracy, then computes correlations and predicts held-out families.

    Without tasks, the loss replaces accuracy.
    """
    accuracy = measure_accuracy(request, request.models, default=_TASKS)  # first: a wrong task fails early
    measured = measure(request, GRID)
    table = with_accuracy(measured.table, accuracy, per_dataset=False)
    table = with_published(table, _published).sort("dataset", "family", "parameters", maintain_order=True)
    target = "accuracy" if "accuracy" in table.columns else "loss"
    found, said = correlated(table, "dataset", _METRICS, target, ((), ("hidden_size",)))
    foreseen, told = predicted(table, "dataset", _METRICS, target)
    more = {"correlations": found, "prediction": foreseen}
    return Findings(table, (*over_sizes(table), *said, *told), measured.notes, more)


def _published(row: dict[str, Any]) -> Cells:
    if row["dataset"] != "dolly-15k":
        return {}
    return {name: first_printed(_TABLES, row["model"], name) for name in ("diff_erank", "reduced_loss", "accuracy")}


STUDY = Study(
    name="families",
    question="Over several families, what correlates with accuracy: Diff-eRank, its two terms, MNN, or the loss?",
    source="Diff-eRank, figure 3 and tables 7 and 8",
    models=("family:opt", "family:cerebras-gpt", "family:openelm"),
    data=("dolly-15k",),
    columns=(
        "dataset",
        "family",
        "model",
        "parameters",
        "texts",
        "effective_rank_untrained",
        "effective_rank",
        "diff_erank",
        "erank_ratio",
        "reduced_loss",
        "matrix_nuclear_norm",
        "loss",
        "accuracy",
    ),
    figure=Figure(
        x="parameters",
        metrics=("diff_erank", "effective_rank", "reduced_loss", "accuracy"),
        series="family",
        log_x=True,
        panels_by="dataset",
    ),
    conduct=conduct,
    grids=lambda _: (GRID,),
    also_measures=lambda request: accuracy_in_words(request, default=_TASKS),
    published=_TABLES,
    options=("tasks",),
)
