"""Differences between models, or between settings of one model, on the same texts, from the folders of their runs."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from rankscope.errors import RunFolderError, SettingsError
from rankscope.runs.difference import Difference, MeasuredTable, differences_between
from rankscope.runs.likeness import Differing, Effect, differing, folder_names, labelled_setting, rewrites_texts
from rankscope.runs.run import Run
from rankscope.statistics import Facts, Note, merged_notes, notes_on
from rankscope.tables import differences_table

_NOT_THE_MODEL = ("reference", "family", "parameters", "dropout", "initializer")
"""Prefixes of keys in a model's manifest entry that do not identify the trained model.

They are its name, values that follow from its configuration, and the initialisation of its twins.
"""


@dataclass(frozen=True)
class Comparison:
    """All differences from the reference, and the notes on all rows together."""

    differences: tuple[Difference, ...]
    notes: tuple[Note, ...]

    def _repr_html_(self) -> str:
        """Notebook display: the table of differences."""
        return differences_table(self.rows())._repr_html_()

    def rows(self) -> list[dict[str, Any]]:
        """One dictionary for each difference."""
        return [asdict(difference) for difference in self.differences]

    def frame(self) -> pl.DataFrame:
        """One row for each difference."""
        return pl.DataFrame(list(self.differences))


def compare(*runs: Run | Path | str, layers: Collection[str] | None = None) -> Comparison:
    """Compares every model of the runs with the first one, data set by data set and layer by layer.

    Runs of the same models that differ in one setting are compared model by model with the first run, and labelled by
    the setting instead of the model. If only twins differ, different models are compared without Diff-eRank.

    Args:
        runs: Finished runs, or their folders.
        layers: Only these layers. Default: all that the models have in common.

    Raises:
        RunFolderError: a folder is not a finished run of evaluate.
        SettingsError: there are fewer than two models, none with texts and a layer in common, different models with
            different settings, or the same model with the same settings or with several differing ones.
    """
    opened = [run if isinstance(run, Run) else Run(run) for run in runs]
    for run in opened:
        if run.kind != "evaluation":
            raise RunFolderError(
                f"{run.place} was made by align: its summary already contains the changes due to controls"
            )
    different = differing(opened)
    held = [_models(run) for run in opened]
    tables = [table for run in opened for table in _tables(run) if layers is None or table.layer in layers]
    if len(opened) > 1 and all(models == held[0] for models in held):
        found = _between_settings(tables, different)
        notes = [note for run in opened for note in run.notes()]
    else:
        found = _between_models(_named_apart(tables, held, opened), different)
        alike = not different.of(Effect.NUMBERS, Effect.TWIN)
        rows = [row for run in opened for row in run.summary_rows()]
        notes = notes_on(rows, _facts(opened)) if alike else [note for run in opened for note in run.notes()]
    return Comparison(tuple(found), tuple(merged_notes([*notes, *different.notes()])))


def _models(run: Run) -> frozenset[tuple[str, str]]:
    """The models of a run as pairs of reference and the JSON of everything that identifies the trained model."""
    known = run.manifest()["identity"]["models"]
    return frozenset(
        (
            model["reference"],
            json.dumps({name: model[name] for name in model if not name.startswith(_NOT_THE_MODEL)}, sort_keys=True),
        )
        for model in known
    )


def _tables(run: Run) -> list[MeasuredTable]:
    data = {entry["name"]: entry["fingerprint"] for entry in run.manifest()["identity"]["data"]}
    groups = run.measurements(ratios=False).group_by("model", "dataset", "layer", maintain_order=True)
    found = []
    for (model, dataset, layer), rows in groups:
        if dataset not in data:
            raise RunFolderError(f"{run.place} has measurements on {dataset}, which its manifest does not name")
        found.append(MeasuredTable(run, str(model), str(dataset), data[dataset], str(layer), rows))
    return found


def _named_apart(
    tables: Sequence[MeasuredTable], held: Sequence[frozenset[tuple[str, str]]], runs: Sequence[Run]
) -> list[MeasuredTable]:
    """The tables, with the run's folder appended to model names that refer to different weights in several runs.

    Raises:
        SettingsError: a model is in several runs, but their models are not all the same.
    """
    holders: dict[str, list[tuple[str, Run]]] = {}
    for models, run in zip(held, runs, strict=True):
        for reference, what in models:
            holders.setdefault(reference, []).append((what, run))
    for reference, found in holders.items():
        if len({what for what, _ in found}) < len(found):
            paths = " and ".join(str(run.place) for _, run in found)
            raise SettingsError(f"{reference} is in {paths}, and their models are not all the same: remove one")
    names = folder_names(runs)
    return [
        replace(one, model=f"{one.model} ({names[one.run]})") if len(holders.get(one.model, ())) > 1 else one
        for one in tables
    ]


def _facts(runs: Sequence[Run]) -> Facts:
    facts = [run.facts() for run in runs]
    return replace(facts[0], dropout={model: share for one in facts for model, share in one.dropout.items()})


def _between_models(tables: Sequence[MeasuredTable], different: Differing) -> list[Difference]:
    """Compares every model with the first one, under the same settings."""
    models = list(dict.fromkeys(table.model for table in tables))
    if len(models) < 2:
        raise SettingsError(f"a comparison needs at least two models, got {len(models)}: add runs")
    if changed := different.of(Effect.NUMBERS):
        raise SettingsError(
            f"these runs contain different models and differ in {' and '.join(map(different.told, changed))}: compare "
            "models with the same settings, or one model with both"
        )
    first = models[0]
    reference = {(table.dataset, table.fingerprint, table.layer): table for table in tables if table.model == first}
    found: list[Difference] = []
    for other in (table for table in tables if table.model != first):
        base = reference.get((other.dataset, other.fingerprint, other.layer))
        if base is not None:
            found += differences_between(base, other)
    if different.of(Effect.TWIN):
        found = [one for one in found if one.metric != "diff_erank"]
    if not found:
        texts = different.of(Effect.TEXTS)
        also = f" (these runs differ in {' and '.join(map(different.told, texts))})" if texts else ""
        raise SettingsError(
            f"no other model was measured on the texts and layers of {first}: evaluate them with the same --data, "
            f"--limit and --layers{also}"
        )
    return found


def _between_settings(tables: Sequence[MeasuredTable], different: Differing) -> list[Difference]:
    """Compares every model with itself in the first run, under the one setting that differs."""
    names = labelled_setting(different)
    rewritten = any(map(rewrites_texts, names))
    first, values = different.runs[0], {run: different.shown(names, run) for run in different.runs}
    reference = {(one.model, one.dataset, one.layer): one for one in tables if one.run == first}
    found: list[Difference] = []
    for other in (one for one in tables if one.run != first):
        base = reference.get((other.model, other.dataset, other.layer))
        if base is not None and (rewritten or base.fingerprint == other.fingerprint):
            found += [
                replace(one, setting=", ".join(names), reference_setting=values[first], model_setting=values[other.run])
                for one in differences_between(base, other)
            ]
    if not found:
        raise SettingsError(
            f"{' and '.join(str(run.place) for run in different.runs)} have no texts and layers in common: evaluate "
            "with the same --data, --limit and --layers"
        )
    return found
