"""One model along its training: effective rank, loss and accuracy, their peaks, and overfitting."""

from __future__ import annotations

import polars as pl

from rankscope.errors import SettingsError
from rankscope.models import training_step
from rankscope.runs import Run
from rankscope.statistics import FEWEST_CHECKPOINTS, Phases, common_texts, complete_texts, find_phases, paired_on
from rankscope.studies.accuracy import accuracy_in_words, measure_accuracy, with_accuracy
from rankscope.studies.conditions import Condition, Grid, measure
from rankscope.studies.sentences import at
from rankscope.studies.study import Figure, Findings, Request, Study
from rankscope.studies.trainings import checkpoints_of, unfinished_of

BEST, OVERFITTED, UNDECIDED = "best loss", "overfitted", "after the best, no worse"


_CONDITIONS = (Condition("training"),)


def conduct(request: Request) -> Findings:
    """Evaluates all checkpoints, and measures accuracy if tasks are given."""
    left_out = _left_out(request)
    for told in left_out:
        request.progress.say(f"skipping {told}")
    models, steps = _checkpoints(request)
    accuracy = measure_accuracy(request, models, default=())
    measured = measure(request, Grid(_CONDITIONS, tuple(models)))
    table = measured.table.with_columns(
        step=pl.col("model").replace_strict(steps, return_dtype=pl.Int64),
        order=pl.col("model").replace_strict(models, range(len(models)), return_dtype=pl.Int64),
    ).sort("dataset", "layer", "order")
    table = with_accuracy(table, accuracy, per_dataset=False)
    table = _with_stages(table.drop("order"), measured.runs["training"])
    unfinished = [f"Unfinished checkpoints were skipped: {'; '.join(left_out)}."] if left_out else []
    phases = _phases_of(table, measured.runs["training"])
    of_phases = [_told(where, found, table) for where, found in phases.items()]
    rows = [row for where, found in phases.items() for row in _rows(where, found)]
    more = {"phases": pl.DataFrame(rows)} if rows else {}
    return Findings(table, (*_sentences(table), *of_phases, *unfinished), measured.notes, more)


def _left_out(request: Request) -> list[str]:
    """Unfinished checkpoints, each with the reason."""
    return [f"{model}: {told}" for model in request.models for told in unfinished_of(model)]


def _checkpoints(request: Request) -> tuple[list[str], dict[str, int | None]]:
    """The checkpoints in training order, and the step of each.

    Raises:
        SettingsError: there are too few, or they belong to several models.
    """
    expanded = [checkpoints_of(model) for model in request.models]
    if len(expanded) > 1 and max(map(len, expanded)) > 1:
        raise SettingsError(f"training follows one model at a time, got {', '.join(request.models)}")
    models = [checkpoint for found in expanded for checkpoint in found]
    if len(models) < 2:
        raise SettingsError(
            f"training needs checkpoints of a model, got {', '.join(request.models)}: use a folder with checkpoint-N "
            "subfolders, or several revisions, MODEL@step1 MODEL@step2 ..."
            + (f" (skipped {'; '.join(left_out)})" if (left_out := _left_out(request)) else "")
        )
    steps = {model: None if (found := training_step(model)) is None else found.step for model in models}
    known = {model: step for model, step in steps.items() if step is not None}
    if len(known) == len(models):
        models.sort(key=known.__getitem__)
    return models, steps


def _with_stages(table: pl.DataFrame, run: Run) -> pl.DataFrame:
    """Marks the checkpoint with the lowest loss, and later ones with a significantly higher loss on the same texts."""
    measurements = run.measurements().filter(pl.col("role") == "trained")
    stages: list[str | None] = []
    for (dataset, layer), rows in table.group_by("dataset", "layer", maintain_order=True):
        losses = rows["loss"].to_list()
        known = [loss for loss in losses if loss is not None]
        best = losses.index(min(known)) if known else len(losses)
        here = measurements.filter(pl.col("dataset") == dataset, pl.col("layer") == layer)
        models = rows["model"].to_list()
        for place, model in enumerate(models):
            if place < best:
                stages.append(None)
            elif place == best:
                stages.append(BEST)
            else:
                stages.append(OVERFITTED if _is_worse(here, model, models[best]) else UNDECIDED)
    return table.with_columns(stage=pl.Series(stages, dtype=pl.String))


def _is_worse(measurements: pl.DataFrame, model: str, best: str) -> bool:
    of_best, later = (measurements.filter(pl.col("model") == name) for name in (best, model))
    paired = paired_on(common_texts(of_best, later), "loss")
    return paired is not None and paired.low > 0


def _phases_of(table: pl.DataFrame, run: Run) -> dict[tuple[str, str], Phases | None]:
    """Phases of effective rank by data set and layer; omitted if steps or effective ranks are unknown."""
    measurements = run.measurements(ratios=False)
    found: dict[tuple[str, str], Phases | None] = {}
    for (dataset, layer), rows in table.group_by("dataset", "layer", maintain_order=True):
        steps, models = rows["step"].to_list(), rows["model"].to_list()
        if rows["effective_rank"].null_count() or None in steps or len(set(steps)) < len(steps):
            continue
        here = measurements.filter(dataset=dataset, layer=layer)
        of_models = [complete_texts(here.filter(model=model))[0] for model in models]
        wide = of_models[0].select("text_id")
        for place, one in enumerate(of_models):
            wide = wide.join(one.select("text_id", pl.col("matrix_entropy").alias(str(place))), on="text_id")
        entropies = wide.drop("text_id").to_numpy()
        if len(entropies):
            found[str(dataset), str(layer)] = find_phases(steps, entropies)
    return found


def _rows(where: tuple[str, str], found: Phases | None) -> list[dict[str, object]]:
    """One row per phase; `change` is the step at which the next phase starts."""
    if found is None:
        return []
    last = found.phases[-1]
    return [
        {
            "dataset": where[0],
            "layer": where[1],
            "direction": one.direction,
            "slope": one.slope,
            "from_step": one.start,
            "to_step": one.end,
            "change": None if one is last else one.end,
            "change_low": None if one is last else one.end_low,
            "change_high": None if one is last else one.end_high,
            "p_value": found.p_value,
        }
        for one in found.phases
    ]


def _told(where: tuple[str, str], found: Phases | None, table: pl.DataFrame) -> str:
    """A sentence on the phases and the step with the lowest loss."""
    dataset, layer = where
    rows = table.filter(dataset=dataset, layer=layer)
    on = f"On {dataset}{at(layer)},"
    if found is None:
        needed = f"{rows.height} checkpoints are too few (at least {FEWEST_CHECKPOINTS} are needed)"
        return f"{on} phases of eRank were not computed: {needed}."
    if len(found.phases) == 1:
        return (
            f"{on} no distinct phases of eRank were found: a straight line over log(step) fits the {found.checkpoints} "
            f"checkpoints as well (p = {found.p_value:.2g})."
        )
    *before, last = found.phases
    parts = [
        f"{one.direction} until step {one.end:,} (95 % interval {one.end_low:,} to {one.end_high:,})" for one in before
    ]
    best = rows.filter(pl.col("stage") == BEST)
    loss = f"; the loss is lowest at step {best['step'][0]:,}" if best.height else ""
    return (
        f"{on} eRank has {len(found.phases)} phases over log(step): it {', then '.join(parts)}, then {last.direction} "
        f"(p = {found.p_value:.2g} for a single straight line){loss}."
    )


def _sentences(table: pl.DataFrame) -> list[str]:
    found = []
    several = table.select("dataset", "layer").n_unique() > 1
    for (dataset, layer), rows in table.group_by("dataset", "layer", maintain_order=True):
        where = f"On {dataset}{at(str(layer))},"
        again = f"{where} " if several else ""
        best = rows.filter(pl.col("stage") == BEST)
        if best.height:
            row = best.row(0, named=True)
            found.append(f"{where} the loss is lowest, {row['loss']:.3f}, at {_at(row)}.")
        for key, called in (("effective_rank", "eRank"), ("diff_erank", "Diff-eRank"), ("accuracy", "accuracy")):
            if key in rows.columns and rows[key].null_count() < rows.height:
                row = rows.sort(key, descending=True, nulls_last=True).row(0, named=True)
                found.append(f"{again}{called} is highest, {row[key]:.3g}, at {_at(row)}.")
        worse = [_at(row) for row in rows.filter(pl.col("stage") == OVERFITTED).rows(named=True)]
        found.append(
            f"{again}{'overfitted' if several else 'Overfitted'} checkpoints (loss above the best on the same texts, "
            f"beyond its 95 % interval): {', '.join(worse) or 'none'}."
        )
    return found


def _at(row: dict[str, object]) -> str:
    return str(row["model"]) if row["step"] is None else f"{row['model']} (step {row['step']:,})"


STUDY = Study(
    name="training",
    question="How do effective rank, loss and accuracy change along a training, and what shows overfitting?",
    source="Diff-eRank, table 10",
    models=("pico",),
    data=("stdlib-docs",),
    columns=(
        "dataset",
        "model",
        "step",
        "texts",
        "loss",
        "effective_rank",
        "diff_erank",
        "normalized_matrix_entropy",
        "matrix_nuclear_norm",
        "accuracy",
        "stage",
    ),
    figure=Figure(
        x="step",
        metrics=("loss", "effective_rank", "normalized_matrix_entropy", "accuracy"),
        series="dataset",
        marks="phases",
    ),
    conduct=conduct,
    grids=lambda request: (Grid(_CONDITIONS, tuple(_checkpoints(request)[0])),),
    also_measures=lambda request: accuracy_in_words(request, default=()),
    published=("diff_erank.table10",),
    options=("tasks",),
)
