"""The section of a report that compares several models, or one model under several settings."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING

import polars as pl

from rankscope.errors import RunFolderError, SettingsError
from rankscope.reports.charts import has_shares, rank_against, relative_differences
from rankscope.reports.correlations import correlations_table
from rankscope.reports.predictions import predictions_on, predictions_table
from rankscope.reports.rows import LabelledRow, common_layer, told_apart
from rankscope.reports.section import Section
from rankscope.runs import Effect, compare
from rankscope.tables import differences_table, short_names

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rankscope.runs import Comparison, Difference, Differing
    from rankscope.statistics import Note


def models_compared(
    dataset: str, rows: Sequence[LabelledRow], sections: list[Section], different: Differing
) -> list[Note]:
    """Appends a section that compares the models, or the settings of one model, and returns the comparison's notes."""
    layer = common_layer(rows)
    here = [one for one in rows if one.row["layer"] == layer]
    if len(here) < 2:
        return []
    part = Section(f"Models compared on {dataset}")
    summary = pl.DataFrame([one.row for one in here], infer_schema_length=None)
    without = [one.label for one in here if one.row.get("diff_erank") is None]
    metric = "effective_rank" if without else "diff_erank"
    if without and len(without) < len(here):
        part.remarks.append(f"{', '.join(without)} without Diff-eRank: eRank is drawn instead.")
    mixed = different.of(Effect.NUMBERS, *([Effect.TWIN] if metric == "diff_erank" else []))
    if mixed:
        told = " and ".join(map(different.told, mixed))
        part.remarks.append(
            f"There are no charts over size or loss and no correlations, because these runs differ in {told}."
        )
    else:
        for axis in ("hidden_size", "loss"):
            known = summary.drop_nulls([axis, metric])
            if known[axis].n_unique() > 1:
                part.figures.append(rank_against(summary, axis, metric))
        correlations = correlations_table([one.row for one in here])
        if correlations.rows and told_apart(here):
            part.tables["correlations"] = correlations
    prediction, remark = predictions_on(here, different)
    part.tables |= {} if prediction is None else {"prediction": predictions_table(prediction)}
    part.remarks += [] if remark is None else [remark]
    comparison = _comparison(here, str(layer), part)
    if comparison is not None and (found := [one for one in comparison.differences if one.dataset == dataset]):
        part.tables["differences"] = differences_table([asdict(one) for one in _with_labels(found, here)])
        drawn = _with_settings(_with_labels(found, here))
        if any(map(has_shares, drawn)):
            part.figures.append(relative_differences(drawn))
        if found[0].setting is not None:
            part.heading = f"{found[0].setting} compared on {dataset}"
    sections.append(part)
    return list(comparison.notes) if comparison is not None else []


def _with_labels(differences: Sequence[Difference], rows: Sequence[LabelledRow]) -> list[Difference]:
    """Replaces references by labels, or by short names if a differing setting already has its own column."""
    labels = {one.reference: one.label for one in rows}
    if differences[0].setting is not None:
        labels = short_names(labels)
    return [
        replace(one, model=labels.get(one.model, one.model), reference=labels.get(one.reference, one.reference))
        for one in differences
    ]


def _with_settings(differences: Sequence[Difference]) -> list[Difference]:
    """Names rows of a chart by their setting, prefixed with the model's name if there are several models."""
    if differences[0].setting is None:
        return list(differences)
    several = len({one.model for one in differences}) > 1
    return [
        replace(
            one,
            model=f"{one.model}, {one.model_setting}" if several else str(one.model_setting),
            reference=f"{one.setting} {one.reference_setting}",
        )
        for one in differences
    ]


def _comparison(rows: Sequence[LabelledRow], layer: str, part: Section) -> Comparison | None:
    try:
        return compare(*dict.fromkeys(one.run for one in rows), layers=[layer])
    except (SettingsError, RunFolderError) as error:
        part.remarks.append(f"There are no paired differences: {error}.")
        return None
