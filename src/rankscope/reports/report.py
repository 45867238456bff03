"""Builds a report from runs: sections of tables, figures and remarks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import polars as pl

from rankscope.errors import RunFolderError, SettingsError
from rankscope.models import training_step
from rankscope.reports.charts import (
    Figure,
    alignment_ranks,
    distribution,
    loss_through_training,
    rank_against_length,
    rank_by_layer,
    rank_by_model,
    rank_through_training,
    spectra,
)
from rankscope.reports.checkpoints import trainings
from rankscope.reports.compared import models_compared
from rankscope.reports.provenance import Provenance, provenance
from rankscope.reports.rows import LabelledRow, common_layer, deepest_layer, labelled_rows, told_apart
from rankscope.reports.section import Section
from rankscope.runs import Differing, Effect, Run, differing, folder_names
from rankscope.statistics import BASE, Note, Summary, merged_notes
from rankscope.tables import (
    Table,
    alignment_table,
    control_table,
    is_of_images,
    metrics_table,
    short_name,
    summary_table,
    trajectory_table,
)

_Part = TypeVar("_Part")


@dataclass(frozen=True)
class Report:
    """The content of a report page.

    Attributes:
        title: names the models and data.
        sections: the first is the headline table.
        notes: known pitfalls that apply to these results.
        sources: the provenance of each run.
    """

    title: str
    sections: tuple[Section, ...]
    notes: tuple[Note, ...]
    sources: tuple[Provenance, ...]

    def tables(self) -> dict[str, Table]:
        """All tables, by a unique name that can be used for a file."""
        return _named((name, table) for part in self.sections for name, table in part.tables.items())

    def figures(self) -> dict[str, Figure]:
        """All figures, by a unique name that can be used for a file."""
        return _named((one.name, one) for part in self.sections for one in part.figures)


def build_report(*runs: Run | Path | str) -> Report:
    """Builds a report from finished runs.

    Raises:
        RunFolderError: a folder does not hold a run, is of another version, or is not finished.
        SettingsError: no runs were given.
    """
    if not runs:
        raise SettingsError("a report needs at least one run folder")
    opened = list(dict.fromkeys(run if isinstance(run, Run) else Run(run) for run in runs))
    found = [(run, row) for run in opened for row in run.summary_rows()]
    different = differing(opened)
    rows = labelled_rows(found, different)
    if not rows:
        raise RunFolderError(f"{opened[0].place} has an empty summary: nothing was measured")
    of_texts = [one for one in rows if not is_of_images(one.row)]
    of_images = [one for one in rows if is_of_images(one.row)]
    sections: list[Section] = []
    compared: dict[Run, list[Note]] = {}
    if of_texts:
        headline = [one.row for one in of_texts if one.row["layer"] == deepest_layer(one, of_texts)]
        sections.append(Section("Summary", {"summary": summary_table(headline)}))
        for dataset in dict.fromkeys(str(one.row["dataset"]) for one in of_texts):
            rows_of = [one for one in of_texts if one.row["dataset"] == dataset]
            sections += _on_data(dataset, rows_of)
            if (notes := models_compared(dataset, rows_of, sections, different)) and len(opened) > 1:
                compared |= dict.fromkeys([one.run for one in rows_of], notes)
            sections += _trainings(dataset, rows_of, different)
    if of_images:
        sections += _images([one.row for one in of_images])
    names = list(dict.fromkeys(str(one.row["model"]) for one in rows))
    data = list(dict.fromkeys(str(one.row["dataset"]) for one in rows))
    sources = tuple(provenance(run) for run in opened)
    return Report(
        f"{_listed(names)} on {_listed(data)}", tuple(sections), tuple(_notes(opened, compared, different)), sources
    )


def _on_data(dataset: str, rows: Sequence[LabelledRow]) -> Iterator[Section]:
    """A section on one data set: layers, spectra and single texts of all models."""
    summary = pl.DataFrame([one.row for one in rows], infer_schema_length=None)
    part = Section(f"On {dataset}")
    several = summary.group_by("model").len()["len"].max() != 1
    if several:
        part.tables["layers"] = summary_table([one.row for one in rows])
    part.tables["metrics"] = metrics_table([one.row for one in rows])
    if summary["effective_rank"].null_count() == summary.height:
        part.remarks.append("No effective rank was measured, so there are no charts of it.")
        yield part
        return
    part.figures.append(rank_by_layer(summary) if several else rank_by_model(summary))
    layer = common_layer(rows)
    if layer is None:
        part.remarks.append("The models have no layer in common, so spectra and texts are not shown.")
        yield part
        return
    eigenvalues = _frame(rows, dataset, layer, "spectra")
    if eigenvalues.is_empty():
        part.remarks.append(
            "There is no chart of spectra, because these runs contain no eigenvalues: they were made before rankscope "
            "stored them. Evaluate again into a new folder to get the chart."
        )
    else:
        part.figures.append(spectra(eigenvalues))
    measurements = _frame(rows, dataset, layer, "measurements").filter(status="ok").drop_nulls("effective_rank")
    trained = measurements.filter(pl.col("role") == "trained")
    if trained.is_empty():
        part.remarks.append(f"The run folders contain no measurements of layer {layer}, so single texts are not shown.")
    else:
        part.figures.append(distribution(measurements))
        if trained["n_tokens"].max() >= 3:  # type: ignore[operator]  # shorter texts have no noise to compare with
            part.figures.append(rank_against_length(measurements))
    yield part


def _frame(rows: Sequence[LabelledRow], dataset: str, layer: str, what: str) -> pl.DataFrame:
    """Spectra or measurements of one data set and layer, with the models' labels."""
    parts = []
    for run in dict.fromkeys(one.run for one in rows):
        labels = {one.reference: one.label for one in rows if one.run == run}
        frame = run.spectra() if what == "spectra" else run.measurements(ratios=False)
        frame = frame.filter(
            (pl.col("dataset") == dataset) & (pl.col("layer") == layer) & pl.col("model").is_in(list(labels))
        )
        parts.append(frame.with_columns(pl.col("model").replace(labels)))
    return pl.concat(parts)


def _trainings(dataset: str, rows: Sequence[LabelledRow], different: Differing) -> Iterator[Section]:
    """One section per training with several checkpoints, and per setting if the runs differ."""
    names = different.of(Effect.NUMBERS, Effect.TEXTS, Effect.TWIN)
    settings = {one.run: different.label(names, one.run) for one in rows}
    if len(set(settings.values())) > 1:
        for setting in dict.fromkeys(settings.values()):
            under = [one for one in rows if settings[one.run] == setting]
            yield from _trainings(f"{dataset} ({setting})", under, Differing(different.runs, {}))
        return
    if not told_apart([one for one in rows if one.row["layer"] == rows[0].row["layer"]]):
        for run in dict.fromkeys(one.run for one in rows):
            of_run = [one for one in rows if one.run == run]
            yield from _trainings(f"{dataset} ({folder_names(different.runs)[run]})", of_run, different)
        return
    layer = common_layer(rows)
    here = [one for one in rows if one.row["layer"] == layer]
    for base, group in trainings([one.row | {"model": one.reference} for one in here]).items():
        labels = {one.reference: one.label for one in here}
        named = [row | {"model": labels[str(row["model"])]} for row in group]
        summary = pl.DataFrame(named, infer_schema_length=None)
        part = Section(f"{short_name(base)} through training on {dataset}")
        part.tables["training"] = trajectory_table(named, [int(row["step"] or 0) for row in named])
        if summary["effective_rank"].null_count() < summary.height:
            part.figures.append(rank_through_training(summary))
        if summary["loss"].null_count() < summary.height:
            part.figures.append(loss_through_training(summary))
        others = [one.label for one in here if training_step(one.reference) is None]
        if others:
            part.remarks.append(f"Not on the axis, because the reference has no step: {', '.join(others)}.")
        yield part


def _images(rows: Sequence[Summary]) -> Iterator[Section]:
    for dataset in dict.fromkeys(str(row["dataset"]) for row in rows):
        here = [row for row in rows if row["dataset"] == dataset]
        part = Section(f"Images and texts: {dataset}", {"alignment": alignment_table(here)})
        changes = control_table(here)
        if changes.rows:
            part.tables["controls"] = changes
        labelled = [row | {"model": _with_control(row)} for row in here if row["erank1"] is not None]
        if labelled:
            part.figures.append(alignment_ranks(pl.DataFrame(labelled, infer_schema_length=None)))
        else:
            part.remarks.append("No pair of image and text could be measured.")
        yield part


def _with_control(row: Summary) -> str:
    return f"{row['model']}" if row["control"] == BASE else f"{row['model']} ({row['control']} images)"


def _notes(runs: Sequence[Run], compared: Mapping[Run, Sequence[Note]], different: Differing) -> list[Note]:
    """The notes of all runs, and on the settings in which they differ, without repetitions.

    Args:
        runs: all runs.
        compared: the notes on several runs together, for each of these runs: they replace its own.
        different: the settings in which the runs differ.
    """
    each = [note for run in runs for note in (compared[run] if run in compared else run.notes())]
    return merged_notes([*each, *different.notes()])


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) <= 4 else f"{', '.join(names[:3])} and {len(names) - 3} more"


def _named(pairs: Iterable[tuple[str, _Part]]) -> dict[str, _Part]:
    """Parts by name; repeated names are numbered from the second occurrence."""
    found: dict[str, _Part] = {}
    seen: Counter[str] = Counter()
    for name, part in pairs:
        seen[name] += 1
        found[name if seen[name] == 1 else f"{name}_{seen[name]}"] = part
    return found
