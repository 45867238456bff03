"""How well the loss of models that are left out is predicted: for each data set of several runs."""

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
    """Predictions on each data set that five models or more were measured on, and why there are none on another."""
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
    """Predictions on one data set and layer, or why there are none; neither below five models.

    Under settings that change numbers models cannot be set beside each other, and where twins differ there is no
    Diff-eRank to add.
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
    """Predictions as `prediction_table` returns them, for people."""
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
