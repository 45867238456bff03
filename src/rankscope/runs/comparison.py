"""Differences between models, or of one model between settings, on the same texts, from the folders of their runs."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from rankscope.errors import RunFolderError, SettingsError
from rankscope.runs.likeness import Differing, Effect, differing, folder_names, labelled_setting, rewrites_texts
from rankscope.runs.run import Run
from rankscope.statistics import Facts, Note, bootstrap_interval, complete_texts, notes_on, paired_difference
from rankscope.statistics.bootstrap import Numbers
from rankscope.tables import differences_table

COMPARED = (
    "effective_rank",
    "diff_erank",
    "normalized_matrix_entropy",
    "matrix_nuclear_norm",
    "nuclear_norm",
    "stable_rank",
    "participation_ratio",
    "loss",
)
"""What is compared, where both runs have it."""


@dataclass(frozen=True)
class Difference:
    """One metric of one model minus that of the reference, on the texts that both have.

    The reference is another model under the same settings, or the same model under another setting.

    Attributes:
        dataset: name.
        layer: of both.
        metric: name.
        reference: the first model, or the model itself where a setting differs.
        model: the other.
        reference_value: over the common texts.
        model_value: over the common texts.
        difference: model minus reference.
        low: of its 95 % bootstrap interval over texts.
        high: of its 95 % bootstrap interval over texts.
        p_value: of a paired sign-flip test (effective ranks are tested as entropies); None for
            Diff-eRank, which has no value for a single text.
        texts: common ones.
        setting: what differs instead of the model, such as `perturbation`; None where models differ.
        reference_setting: its value in the reference.
        model_setting: its value in the other.
    """

    dataset: str
    layer: str
    metric: str
    reference: str
    model: str
    reference_value: float
    model_value: float
    difference: float
    low: float
    high: float
    p_value: float | None
    texts: int
    setting: str | None = None
    reference_setting: str | None = None
    model_setting: str | None = None


@dataclass(frozen=True)
class Comparison:
    """All differences from the reference, and the notes on all rows together."""

    differences: tuple[Difference, ...]
    notes: tuple[Note, ...]

    def _repr_html_(self) -> str:
        """How a notebook shows it: the table of differences."""
        return differences_table(self.rows())._repr_html_()

    def rows(self) -> list[dict[str, Any]]:
        """One dictionary for each difference."""
        return [asdict(difference) for difference in self.differences]

    def frame(self) -> pl.DataFrame:
        """One row for each difference."""
        return pl.DataFrame(list(self.differences))


def compare(*runs: Run | Path | str, layers: Collection[str] | None = None) -> Comparison:
    """Compares every model of the runs with the first one, data set by data set and layer by layer.

    Runs of the same models under one other setting are compared model by model with the first run: then the setting
    is named, and not the model. Where only twins differ, different models are compared without Diff-eRank.

    Args:
        runs: finished runs, or their folders.
        layers: only these; all that models share if left out.

    Raises:
        RunFolderError: a folder that is no finished run of evaluate.
        SettingsError: fewer than two models, none that share a data set's texts and a layer, different models under
            different settings, or the same model under the same settings or under several other ones.
    """
    opened = [run if isinstance(run, Run) else Run(Path(run)) for run in runs]
    for run in opened:
        if run.kind != "evaluation":
            raise RunFolderError(f"{run.path} was made by align: its summary has the changes that controls make")
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
    distinct = {(note.name, note.text): note for note in [*notes, *different.notes()]}
    return Comparison(tuple(found), tuple(distinct.values()))


@dataclass(frozen=True)
class _Table:
    """The measurements of one model on one data set at one layer."""

    run: Run
    model: str
    dataset: str
    fingerprint: str
    layer: str
    rows: pl.DataFrame


def _models(run: Run) -> frozenset[tuple[str, str]]:
    """References, each with all else that makes the model what it is."""
    known = [dict(model) for model in run.manifest()["identity"]["models"]]
    return frozenset((model.pop("reference"), json.dumps(model, sort_keys=True)) for model in known)


def _tables(run: Run) -> list[_Table]:
    data = {entry["name"]: entry["fingerprint"] for entry in run.manifest()["identity"]["data"]}
    groups = run.measurements(ratios=False).group_by("model", "dataset", "layer", maintain_order=True)
    found = []
    for (model, dataset, layer), rows in groups:
        if dataset not in data:
            raise RunFolderError(f"{run.path} has measurements on {dataset}, which its manifest does not name")
        found.append(_Table(run, str(model), str(dataset), data[dataset], str(layer), rows))
    return found


def _named_apart(
    tables: Sequence[_Table], held: Sequence[frozenset[tuple[str, str]]], runs: Sequence[Run]
) -> list[_Table]:
    """With the run's folder behind a name that stands for different weights.

    Raises:
        SettingsError: the same model is in several runs, beside others.
    """
    holders: dict[str, list[tuple[str, Run]]] = {}
    for models, run in zip(held, runs, strict=True):
        for reference, what in models:
            holders.setdefault(reference, []).append((what, run))
    for reference, found in holders.items():
        if len({what for what, _ in found}) < len(found):
            paths = " and ".join(str(run.path) for _, run in found)
            raise SettingsError(f"{reference} is in {paths}, and not all of their models are the same: leave one out")
    names = folder_names(runs)
    return [
        replace(one, model=f"{one.model} ({names[one.run]})") if len(holders.get(one.model, ())) > 1 else one
        for one in tables
    ]


def _facts(runs: Sequence[Run]) -> Facts:
    facts = [run.facts() for run in runs]
    return replace(facts[0], dropout={model: share for one in facts for model, share in one.dropout.items()})


def _between_models(tables: Sequence[_Table], different: Differing) -> list[Difference]:
    """Every model against the first one, under settings that are the same for all that is compared."""
    models = list(dict.fromkeys(table.model for table in tables))
    if len(models) < 2:
        raise SettingsError(f"a comparison needs at least two models, got {len(models)}: give several runs")
    if changed := different.of(Effect.NUMBERS):
        raise SettingsError(
            f"these runs hold different models and differ in {' and '.join(map(different.told, changed))}: compare "
            "models under the same settings, or one model under both"
        )
    first = models[0]
    reference = {(table.dataset, table.fingerprint, table.layer): table for table in tables if table.model == first}
    found: list[Difference] = []
    for other in (table for table in tables if table.model != first):
        base = reference.get((other.dataset, other.fingerprint, other.layer))
        if base is not None:
            found += _differences(base, other)
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


def _between_settings(tables: Sequence[_Table], different: Differing) -> list[Difference]:
    """Every model against itself in the first run, under the one setting that differs."""
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
                for one in _differences(base, other)
            ]
    if not found:
        raise SettingsError(
            f"{' and '.join(str(run.path) for run in different.runs)} have no texts and layers in common: evaluate "
            "with the same --data, --limit and --layers"
        )
    return found


def _differences(base: _Table, other: _Table) -> list[Difference]:
    (one, one_twins), (two, two_twins) = complete_texts(base.rows), complete_texts(other.rows)
    common = one.select("text_id").join(two.select("text_id"), on="text_id").sort("text_id")
    if common.height < 2:
        raise RunFolderError(f"{base.model} and {other.model} share {common.height} usable texts of {base.dataset}")

    def column(frame: pl.DataFrame, name: str) -> Numbers | None:
        values = common.join(frame, on="text_id", how="left")[name]
        return None if values.null_count() else values.to_numpy().astype(np.float64)

    found = []
    for metric in COMPARED:
        if metric == "diff_erank":
            frames = [one, *one_twins, two, *two_twins]
            columns = [column(frame, "matrix_entropy") for frame in frames]
            values = _of_diff_erank(columns, len(one_twins), len(two_twins))
        else:
            name = "matrix_entropy" if metric == "effective_rank" else metric
            values = _of_metric(column(one, name), column(two, name), exponential=metric == "effective_rank")
        if values is not None:
            reference_value, model_value, low, high, p_value = values
            found.append(
                Difference(
                    dataset=base.dataset,
                    layer=base.layer,
                    metric=metric,
                    reference=base.model,
                    model=other.model,
                    reference_value=reference_value,
                    model_value=model_value,
                    difference=model_value - reference_value,
                    low=low,
                    high=high,
                    p_value=p_value,
                    texts=common.height,
                )
            )
    return found


_Values = tuple[float, float, float, float, float | None]


def _of_metric(one: Numbers | None, two: Numbers | None, *, exponential: bool) -> _Values | None:
    if one is None or two is None:
        return None
    paired = paired_difference(two, one)
    low, high = paired.low, paired.high
    first, second = float(one.mean()), float(two.mean())
    if exponential:
        first, second = float(np.exp(first)), float(np.exp(second))
        low, high = bootstrap_interval(
            np.column_stack([one, two]), lambda means: np.exp(means[..., 1]) - np.exp(means[..., 0])
        )
    return first, second, low, high, paired.p_value


def _of_diff_erank(columns: Sequence[Numbers | None], of_one: int, of_two: int) -> _Values | None:
    """Columns: the reference, its twins, the other model, its twins; all matrix entropies."""
    known = [column for column in columns if column is not None]
    if not of_one or not of_two or len(known) < len(columns):
        return None

    def term(start: int, twins: int) -> Callable[[Numbers], Numbers]:
        def diff_erank(means: Numbers) -> Numbers:
            ranks = np.exp(means)
            found: Numbers = ranks[..., start + 1 : start + 1 + twins].mean(axis=-1) - ranks[..., start]
            return found

        return diff_erank

    one, two = term(0, of_one), term(1 + of_one, of_two)
    table = np.column_stack(known)
    means = table.mean(axis=0)
    first, second = float(one(means)), float(two(means))
    low, high = bootstrap_interval(table, lambda sampled: two(sampled) - one(sampled))
    return first, second, low, high, None
