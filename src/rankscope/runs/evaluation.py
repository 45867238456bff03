"""`evaluate`: the main job."""

from __future__ import annotations

import gc
from contextlib import ExitStack, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import torch

from rankscope.models import examine, load_model, refuse_changed
from rankscope.runs.job import Job, prepare_each
from rankscope.runs.loop import Unit, measure_unit
from rankscope.runs.progress import Progress, Silent
from rankscope.runs.record import Record
from rankscope.runs.run import Run
from rankscope.runs.session import session_of
from rankscope.runs.store import SUMMARY, RunFolder, open_run_folder, read_measurements
from rankscope.runs.twin_cache import ForgivingTwinCache, key_of
from rankscope.settings import Settings, changed
from rankscope.statistics import notes_on, summarize, with_initializers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rankscope.models import ModelDescription, Network
    from rankscope.runs.identity import UnitKey
    from rankscope.runs.plan import Plan

_BASELINES = {
    "default": "untrained twin",
    "paper": "untrained twin in train mode",
    "permuted": "weights to shuffle",
    "revision": "checkpoint that stands in for the twin",
}


def evaluate(
    models: str | Sequence[str],
    data: str | Sequence[str],
    *,
    output: str | Path | None = None,
    settings: Settings | None = None,
    progress: Progress | None = None,
    **changes: object,
) -> Run:
    """Measures models on texts, layer by layer, beside their untrained twins.

    Args:
        models: model references: hub id, folder or GGUF file, each with optional `@revision`.
        data: data references: a catalogue name, `name=PATH`, a file, a folder or a hub id.
        output: the run's folder; left out, one under `runs/` named by what was asked for. A folder
            of the same run is completed: what is there is not computed again.
        settings: all settings at once.
        progress: told of progress; silent if left out.
        changes: settings by name, such as `limit=500, layers="all"`; see `Settings`.

    Raises:
        CallError: the call was wrong; nothing was measured.
        RankscopeError: measuring failed; what was finished is kept in the folder.
    """
    chosen = changed(settings or Settings(), changes)
    (run,) = evaluate_each(models, data, [(None if output is None else Path(output), chosen)], progress)
    return run


def evaluate_each(
    models: str | Sequence[str],
    data: str | Sequence[str],
    conditions: Sequence[tuple[Path | None, Settings]],
    progress: Progress | None = None,
) -> list[Run]:
    """Evaluates the same models under several conditions; each network is made once for all of them.

    Args:
        models: as for `evaluate`.
        data: as for `evaluate`.
        conditions: a folder and settings for each run. What decides which network is made must be the same in all.
        progress: told of progress; silent if left out.

    Raises:
        SettingsError: conditions of different dtype, device, protocol or code.
        RankscopeError: as `evaluate`.
    """
    progress = progress or Silent()
    progress.say("reading texts, tokenizers and configurations")
    jobs = prepare_each(
        [models] if isinstance(models, str) else models,
        [data] if isinstance(data, str) else data,
        [settings for _, settings in conditions],
    )
    for remark in dict.fromkeys(remark for job in jobs for texts in job.text_sets for remark in texts.remarks):
        progress.say(remark)
    with ExitStack() as stack:
        folders = [
            stack.enter_context(open_run_folder(output or _default_folder(job), job.identity, progress.say))
            for job, (output, _) in zip(jobs, conditions, strict=True)
        ]
        given = [data] if isinstance(data, str) else list(data)
        opened = [
            _Opened(job, folder, Record(folder, manifest, _session(job) | {"data": given}))
            for job, (folder, manifest) in zip(jobs, folders, strict=True)
        ]
        cached = any(job.settings.twin_cache and job.settings.untrained_seeds for job in jobs)
        twins = ForgivingTwinCache.of_the_user(progress.say) if cached else ForgivingTwinCache(None, progress.say)
        for model in jobs[0].models:
            if model.reference.has_tokenizer_above:
                progress.say(f"{model.reference.label}: the tokenizer is that of {model.reference.tokenizer_location}")
            _measure_model(model, opened, twins, progress)
        for one in opened:
            _conclude(one)
    return [Run(one.folder.path) for one in opened]


@dataclass(frozen=True)
class _Opened:
    """A job, the folder that it may write to, and what it records there."""

    job: Job
    folder: RunFolder
    record: Record


@dataclass(frozen=True)
class _Missing:
    """A unit that has to be measured."""

    opened: _Opened
    unit: Unit
    plan: Plan
    key: UnitKey


def _conclude(opened: _Opened) -> None:
    folder = opened.folder
    measurements = read_measurements(folder.path).sort("model", "dataset", maintain_order=True)
    rows = _in_order(opened.job, with_initializers(summarize(measurements), _initializers(opened.job)))
    notes = [asdict(note) for note in notes_on(rows, Run(folder.path).facts())]
    folder.write_json(SUMMARY, {"schema": 1, "rows": rows, "notes": notes})
    opened.record.conclude()


def _session(job: Job) -> dict[str, Any]:
    return session_of(job.placement.device, [texts.source for texts in job.text_sets])


def _measure_model(
    model: ModelDescription, opened: Sequence[_Opened], twins: ForgivingTwinCache, progress: Progress
) -> None:
    """Trained model first, then twin by twin; each network is gone before the next is made."""
    missing: dict[int | None, list[_Missing]] = {}
    for one in opened:
        plans = {texts.name: one.job.plan(model, texts) for texts in one.job.text_sets}
        for unit, _ in one.job.units(model):
            plan = plans[unit.dataset]
            needed = _Missing(one, unit, plan, one.job.unit_key(model, unit, plan))
            one.record.verify(unit.name, needed.key)
            if one.folder.is_finished(unit.name):
                continue
            if plan.cut and unit.seed is None:
                longest = one.job.max_length(model)
                progress.say(
                    f"{model.reference.label} on {unit.dataset}: {plan.cut:,} texts are cut to {longest:,} tokens"
                )
            if one.job.settings.twin_cache and _adopt(model, needed, twins, progress):
                continue
            missing.setdefault(unit.seed, []).append(needed)
    for seed, units in missing.items():
        job = units[0].opened.job
        what = "weights" if seed is None else f"{_BASELINES[job.settings.protocol]}, seed {seed}"
        progress.say(f"{model.reference.label}: loading {what}")
        loaded = load_model(model, job.placement) if seed is None else job.baseline(model, seed)
        for read in (model, *job.baselines):
            refuse_changed(read)
        network = examine(loaded)
        # Dropout of a twin in train mode draws from torch's generator, which stays the caller's.
        with torch.random.fork_rng() if units[0].unit.reseed else nullcontext():
            for needed in units:
                _measure(model, needed, network, progress)
                if needed.opened.job.settings.twin_cache and seed is not None:
                    key = needed.opened.job.twin_key(model, needed.unit, needed.plan)
                    twins.put(key, needed.opened.folder.finished_unit(needed.unit.name))
        del network, loaded
        gc.collect()


def _measure(model: ModelDescription, missing: _Missing, network: Network, progress: Progress) -> None:
    unit, plan, opened = missing.unit, missing.plan, missing.opened
    opened.record.begin(unit.name, missing.key, progress)
    label = f"{model.reference.label} on {unit.dataset}" + ("" if unit.seed is None else f", twin {unit.seed}")
    progress.start(label, plan.tokens)
    measure_unit(unit, plan, network, opened.folder, progress)


def _adopt(model: ModelDescription, missing: _Missing, cache: ForgivingTwinCache, progress: Progress) -> bool:
    """Takes a twin's measurements from the cache, under this run's names."""
    unit, folder = missing.unit, missing.opened.folder
    if unit.seed is None or folder.finished_batches(unit.name):
        return False
    found = cache.get(missing.opened.job.twin_key(model, unit, missing.plan))
    if found is None:
        return False
    progress.say(f"{model.reference.label} on {unit.dataset}: twin {unit.seed} was measured before")
    missing.opened.record.begin(unit.name, missing.key, progress)
    names = {"model": unit.model, "dataset": unit.dataset}
    folder.adopt_unit(unit.name, found.with_columns(**{name: pl.lit(value) for name, value in names.items()}))
    return True


def _default_folder(job: Job) -> Path:
    digest = key_of(job.identity)
    return Path("runs") / f"{job.label}-{digest[:8]}"


def _initializers(job: Job) -> dict[str, dict[str, float | str | None]]:
    """What a summary says of each model's twins, by reference."""
    keys = ("initializer_range", "initializer_source")
    records = {model.reference.text: job.initializer_record(model) for model in job.models}
    return {name: {key: record[key] for key in keys} for name, record in records.items() if record}


def _in_order(job: Job, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    models = [model.reference.text for model in job.models]
    names = [texts.name for texts in job.text_sets]
    return sorted(rows, key=lambda row: (models.index(row["model"]), names.index(row["dataset"])))
