"""What a report says: runs in; sections of tables, figures and remarks out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TypeVar

import polars as pl

from rankscope.errors import RunFolderError, SettingsError
from rankscope.reports.charts import (
    Figure,
    alignment_ranks,
    distribution,
    loss_through_training,
    rank_against,
    rank_against_length,
    rank_by_layer,
    rank_by_model,
    rank_through_training,
    relative_differences,
    spectra,
)
from rankscope.reports.charts.alignment import STAGES
from rankscope.reports.checkpoints import step_of, trainings
from rankscope.reports.correlations import FEWEST_MODELS, correlations_table
from rankscope.reports.provenance import Provenance, provenance
from rankscope.runs import Comparison, Run, compare
from rankscope.statistics import BASE, Note, Summary
from rankscope.tables import (
    Table,
    alignment_table,
    control_table,
    differences_table,
    is_of_images,
    short_name,
    short_names,
    summary_table,
    trajectory_table,
)

_OF_ALL = ("model", "dataset", "texts")
_OF_IMAGES = (*_OF_ALL, "control", *STAGES)
_OF_TEXTS = (*_OF_ALL, "layer", "tokens", "hidden_size", "effective_rank", "loss")
_Part = TypeVar("_Part")


@dataclass
class Section:
    """A part of a report.

    Attributes:
        heading: for people.
        tables: by name.
        figures: in their order.
        remarks: what is left out, and why.
    """

    heading: str
    tables: dict[str, Table] = field(default_factory=dict)
    figures: list[Figure] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Report:
    """All that is on a page.

    Attributes:
        title: models and data.
        sections: the first is the headline.
        notes: what is known to mislead and shows in these numbers.
        sources: a run each.
    """

    title: str
    sections: tuple[Section, ...]
    notes: tuple[Note, ...]
    sources: tuple[Provenance, ...]

    def tables(self) -> dict[str, Table]:
        """All tables by a name that is fit for a file."""
        return _named((name, table) for part in self.sections for name, table in part.tables.items())

    def figures(self) -> dict[str, Figure]:
        """All figures by a name that is fit for a file."""
        return _named((one.name, one) for part in self.sections for one in part.figures)


def build_report(*runs: Run | Path | str) -> Report:
    """Reads finished runs and works out everything that is shown.

    Raises:
        RunFolderError: a folder that is no run's, of another version, or not finished.
        SettingsError: no runs.
        MissingExtraError: charts are not installed.
    """
    if not runs:
        raise SettingsError("a report needs at least one run's folder")
    opened = list(dict.fromkeys(run if isinstance(run, Run) else Run(Path(run)) for run in runs))
    rows = _labelled([(run, row) for run in opened for row in _checked(run)])
    if not rows:
        raise RunFolderError(f"{opened[0].path} has no rows in its summary: nothing was measured")
    of_texts = [one for one in rows if not is_of_images(one.row)]
    of_images = [one for one in rows if is_of_images(one.row)]
    sections, notes = [], _notes(opened)
    if of_texts:
        headline = [one.row for one in of_texts if one.row["layer"] == _deepest(one, of_texts)]
        sections.append(Section("Summary", {"summary": summary_table(headline)}))
        for dataset in dict.fromkeys(str(one.row["dataset"]) for one in of_texts):
            rows_of = [one for one in of_texts if one.row["dataset"] == dataset]
            sections += _on_data(dataset, rows_of)
            if notes_of := _models(dataset, rows_of, sections):
                notes = notes_of if len(opened) > 1 else notes
            sections += _trainings(dataset, rows_of)
    if of_images:
        sections += _images([one.row for one in of_images])
    names = list(dict.fromkeys(str(one.row["model"]) for one in rows))
    data = list(dict.fromkeys(str(one.row["dataset"]) for one in rows))
    sources = tuple(provenance(run) for run in opened)
    return Report(f"{_listed(names)} on {_listed(data)}", tuple(sections), tuple(notes), sources)


@dataclass(frozen=True)
class _Row:
    """A row of a summary under its label, with the run and the reference that it came from."""

    run: Run
    reference: str
    row: Summary

    @property
    def label(self) -> str:
        return str(self.row["model"])


def _checked(run: Run) -> list[Summary]:
    """The rows of a summary, each with all that a report cannot do without."""
    rows = run.summary_rows()
    for row in rows:
        needed = _OF_IMAGES if is_of_images(row) else _OF_TEXTS
        if missing := [name for name in needed if name not in row]:
            raise RunFolderError(f"a row of the summary in {run.path} has no {missing[0]!r}: made by another version?")
    return rows


def _labelled(rows: list[tuple[Run, Summary]]) -> list[_Row]:
    """Short names where they tell models apart; else the reference; else the run's folder beside it."""
    short = short_names(row["model"] for _, row in rows)
    runs: dict[tuple[str, str], set[Path]] = {}
    for run, row in rows:
        runs.setdefault((str(row["model"]), str(row["dataset"])), set()).add(run.path)
    found = []
    for run, row in rows:
        reference = str(row["model"])
        label = short[reference]
        if len(runs[reference, str(row["dataset"])]) > 1:
            label += f" ({run.path.name})"
        found.append(_Row(run, reference, row | {"model": label}))
    return found


def _deepest(one: _Row, rows: Sequence[_Row]) -> str:
    """The layer that stands for a model: the head's input, else the last block that was measured."""
    same = (one.run, one.label, one.row["dataset"])
    layers = [str(other.row["layer"]) for other in rows if (other.run, other.label, other.row["dataset"]) == same]
    return max(layers, key=lambda layer: float(layer) if layer.isdecimal() else float("inf"))


def _on_data(dataset: str, rows: Sequence[_Row]) -> Iterator[Section]:
    """Layers, spectra and texts of all models on one data set."""
    summary = pl.DataFrame([one.row for one in rows], infer_schema_length=None)
    part = Section(f"On {dataset}")
    several = summary.group_by("model").len()["len"].max() != 1
    if several:
        part.tables["layers"] = summary_table([one.row for one in rows])
    if summary["effective_rank"].null_count() == summary.height:
        part.remarks.append("No effective rank was measured here, so there are no charts of it.")
        yield part
        return
    part.figures.append(rank_by_layer(summary) if several else rank_by_model(summary))
    layer = _common_layer(rows)
    if layer is None:
        part.remarks.append("The models share no layer, so spectra and texts are not shown.")
        yield part
        return
    eigenvalues = _frame(rows, dataset, layer, "spectra")
    if eigenvalues.is_empty():
        part.remarks.append(
            "These runs hold no eigenvalues, so there is no chart of spectra: they were made before eigenvalues were "
            "kept. Evaluate again into a new folder to have it."
        )
    else:
        part.figures.append(spectra(eigenvalues))
    measurements = _frame(rows, dataset, layer, "measurements").drop_nulls("effective_rank")
    if measurements.filter(pl.col("role") == "trained").is_empty():
        part.remarks.append(f"The run folders hold no measurements of layer {layer}, so single texts are not shown.")
    else:
        part.figures += [distribution(measurements), rank_against_length(measurements)]
    yield part


def _common_layer(rows: Sequence[_Row]) -> str | None:
    """The deepest layer that all models of a data set have."""
    layers = [{str(one.row["layer"]) for one in rows if one.label == label} for label in {one.label for one in rows}]
    shared = set.intersection(*layers)
    return max(shared, key=lambda layer: float(layer) if layer.isdecimal() else float("inf")) if shared else None


def _frame(rows: Sequence[_Row], dataset: str, layer: str, what: str) -> pl.DataFrame:
    """Spectra or measurements of a data set at a layer, models under their labels."""
    parts = []
    for run in dict.fromkeys(one.run for one in rows):
        labels = {one.reference: one.label for one in rows if one.run == run}
        frame = run.spectra() if what == "spectra" else run.measurements(ratios=False)
        frame = frame.filter(
            (pl.col("dataset") == dataset) & (pl.col("layer") == layer) & pl.col("model").is_in(list(labels))
        )
        parts.append(frame.with_columns(pl.col("model").replace(labels)))
    return pl.concat(parts)


def _models(dataset: str, rows: Sequence[_Row], sections: list[Section]) -> list[Note]:
    """Models beside each other; returns the notes on all of them together."""
    layer = _common_layer(rows)
    here = [one for one in rows if one.row["layer"] == layer]
    if len(here) < 2:
        return []
    part = Section(f"Models compared on {dataset}")
    summary = pl.DataFrame([one.row for one in here], infer_schema_length=None)
    without = [one.label for one in here if one.row.get("diff_erank") is None]
    metric = "effective_rank" if without else "diff_erank"
    if without and len(without) < len(here):
        part.remarks.append(f"There is no Diff-eRank of {', '.join(without)}, so eRank is drawn.")
    for beside in ("hidden_size", "loss"):
        known = summary.drop_nulls([beside, metric])
        if known[beside].n_unique() > 1:
            part.figures.append(rank_against(summary, beside, metric))
    if len(here) >= FEWEST_MODELS:
        part.tables["correlations"] = correlations_table([one.row for one in here])
    comparison = _comparison(here, str(layer), part) if _told_apart(here) else None
    if not _told_apart(here):
        part.remarks.append("No paired differences: the same model is in several of these runs.")
    if comparison is not None:
        labels = {one.reference: one.label for one in here}
        differences = [
            replace(one, model=labels.get(one.model, one.model), reference=labels.get(one.reference, one.reference))
            for one in comparison.differences
            if one.dataset == dataset
        ]
        part.tables["differences"] = differences_table([asdict(one) for one in differences])
        if any(one.metric != "diff_erank" and one.reference_value for one in differences):
            part.figures.append(relative_differences(differences))
    sections.append(part)
    return list(comparison.notes) if comparison is not None else []


def _told_apart(rows: Sequence[_Row]) -> bool:
    """Whether no model comes twice."""
    return len({one.reference for one in rows}) == len(rows)


def _comparison(rows: Sequence[_Row], layer: str, part: Section) -> Comparison | None:
    try:
        return compare(*dict.fromkeys(one.run for one in rows), layers=[layer])
    except (SettingsError, RunFolderError) as error:
        part.remarks.append(f"No paired differences: {error}.")
        return None


def _trainings(dataset: str, rows: Sequence[_Row]) -> Iterator[Section]:
    """A section for each model of which there are several checkpoints."""
    if not _told_apart([one for one in rows if one.row["layer"] == rows[0].row["layer"]]):
        for run in dict.fromkeys(one.run for one in rows):
            yield from _trainings(f"{dataset} ({run.path.name})", [one for one in rows if one.run == run])
        return
    layer = _common_layer(rows)
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
        others = [one.label for one in here if step_of(one.reference) is None]
        if others:
            part.remarks.append(f"Not on the axis, for want of a step in the reference: {', '.join(others)}.")
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


def _notes(runs: Sequence[Run]) -> list[Note]:
    """Each note once, though several runs have it."""
    found: dict[tuple[str, str], Note] = {}
    for note in (note for run in runs for note in run.notes()):
        found.setdefault((note.name, note.text), note)
    return list(found.values())


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) <= 4 else f"{', '.join(names[:3])} and {len(names) - 3} more"


def _named(pairs: Iterable[tuple[str, _Part]]) -> dict[str, _Part]:
    """By name, with a number from the second of a name on."""
    found: dict[str, _Part] = {}
    seen: Counter[str] = Counter()
    for name, part in pairs:
        seen[name] += 1
        found[name if seen[name] == 1 else f"{name}_{seen[name]}"] = part
    return found
