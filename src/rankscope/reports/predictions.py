"""How well the loss of held-out models is predicted, for each data set of several runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import polars as pl

from rankscope.errors import SettingsError
from rankscope.reports.rows import LabelledRow, common_layer, labelled_rows, told_apart
from rankscope.runs import Effect, differing
from rankscope.statistics import FEWEST_FOR_PREDICTION
from rankscope.studies import prediction_table
from rankscope.tables import INTERVAL, Table, column, is_of_images, term

if TYPE_CHECKING:
    from rankscope.runs import Differing, Run

_TARGET = "loss"
_METRICS = ("effective_rank", "diff_erank", "normalized_matrix_entropy", "matrix_nuclear_norm")
_CAPTION = (
    "loss predicted out of sample: each family (or each model, if families are too few or too large) from all "
    "others; intervals of the gain by Holm's procedure"
)


def predictions_of(runs: Sequence[Run]) -> tuple[dict[str, pl.DataFrame], list[str]]:
    """Predictions for each data set with at least five models, and the reasons why others have none."""
    different = differing(runs)
    rows = labelled_rows([(run, row) for run in runs for row in run.summary_rows()], different)
    found: dict[str, pl.DataFrame] = {}
    remarks: list[str] = []
    of_texts = [one for one in rows if not is_of_images(one.row)]
    for dataset in dict.fromkeys(str(one.row["dataset"]) for one in of_texts):
        here = [one for one in of_texts if one.row["dataset"] == dataset]
        layer = common_layer(here)
        predicted, remark = predictions_on([one for one in here if one.row["layer"] == layer], different)
        found |= {} if predicted is None else {dataset: predicted}
        remarks += [] if remark is None else [f"{dataset}: {remark}"]
    return found, remarks


def predictions_on(rows: Sequence[LabelledRow], different: Differing) -> tuple[pl.DataFrame | None, str | None]:
    """Predictions for one data set and layer, or the reason why there are none.

    Both are None with fewer than five models, if a model occurs twice, or if the runs differ in texts or in settings
    that change the numbers, so that models are not comparable. If the twins differ, Diff-eRank is not a predictor.
    """
    if len(rows) < FEWEST_FOR_PREDICTION or not told_apart(rows) or different.of(Effect.NUMBERS, Effect.TEXTS):
        return None, None
    metrics = [one for one in _METRICS if one != "diff_erank" or not different.of(Effect.TWIN)]
    try:
        found = prediction_table(pl.DataFrame([one.row for one in rows], infer_schema_length=None), metrics, _TARGET)
    except SettingsError as error:
        return None, f"There is no prediction over models: {error}."
    return (None if found.is_empty() else found), None


def predictions_table(found: pl.DataFrame) -> Table:
    """Formats the predictions that `prediction_table` returns."""
    rows = [
        row
        | {
            "baseline": term("log_parameters" if row["baseline"] == "parameters" else row["baseline"]).label,
            "added": None if row["metric"] is None else term(row["metric"]).label,
        }
        for row in found.rows(named=True)
    ]
    columns = [column("baseline"), column("added")]
    for key in ("r_squared", "spearman", "gain"):
        columns += [column(key, aligned=True), column(key, heading=INTERVAL, interval=True, aligned=True)]
    columns += [column("verdict"), column("models"), column("families"), column("left_out", heading="left out")]
    return Table(tuple(columns), tuple(rows), _CAPTION)
