"""`evaluate`: the main job."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from rankscope.measuring import measure_batches
from rankscope.models import TRANSFORMERS, Backend, LoadedNetwork
from rankscope.runs.carry_out import Group, Unit, UnitFile, carry_out
from rankscope.runs.folder import READINGS, SUMMARY, open_run_folder, read_measurements
from rankscope.runs.job import Job, Part
from rankscope.runs.preparation import prepare_each
from rankscope.runs.progress import Progress, Silent
from rankscope.runs.record import Record
from rankscope.runs.run import Run
from rankscope.runs.session import session_of
from rankscope.runs.twin_cache import ForgivingTwinCache, key_of
from rankscope.settings import Settings, changed
from rankscope.statistics import notes_on, summarize, with_initializers

if TYPE_CHECKING:
    from rankscope.measuring import Row
    from rankscope.runs.subject import Subject

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
    backend: Backend = TRANSFORMERS,
) -> list[Run]:
    """Evaluates the same models under several conditions; each network is made once for all of them.

    Args:
        models: as for `evaluate`.
        data: as for `evaluate`.
        conditions: a folder and settings for each run. What decides which network is made must be the same in all.
        progress: told of progress; silent if left out.
        backend: where networks come from.

    Raises:
        SettingsError: conditions of different dtype, device, protocol or code.
        RankscopeError: as `evaluate`.
    """
    progress = progress or Silent()
    progress.say("reading texts, tokenizers and configurations")
    given = [data] if isinstance(data, str) else list(data)
    jobs = prepare_each(
        [models] if isinstance(models, str) else models,
        given,
        [settings for _, settings in conditions],
        backend,
        progress,
    )
    for remark in dict.fromkeys(remark for job in jobs for texts in job.text_sets for remark in texts.remarks):
        progress.say(remark)
    records = [
        Record(
            open_run_folder(output or _default_folder(job), job.identity, progress.say),
            session_of(job.placement.device, [texts.source for texts in job.text_sets]) | {"data": given},
        )
        for job, (output, _) in zip(jobs, conditions, strict=True)
    ]
    twins = _cache(jobs, progress)
    carry_out(_groups(list(zip(jobs, records, strict=True)), twins, progress), progress)
    for job, record in zip(jobs, records, strict=True):
        _conclude(job, record)
    return [Run(record.folder.path) for record in records]


def _groups(opened: Sequence[tuple[Job, Record]], twins: ForgivingTwinCache, progress: Progress) -> Iterator[Group]:
    """For each model its trained network, then twin by twin; each measures the data sets of all conditions."""
    first, _ = opened[0]
    for place, subject in enumerate(first.subjects):
        reference = subject.model.reference
        if reference.has_tokenizer_above:
            progress.say(f"{reference.label}: the tokenizer is that of {reference.tokenizer_location}")
        by_seed: dict[int | None, list[tuple[Part, Record]]] = {}
        for job, record in opened:
            for part in job.parts(job.subjects[place], progress):
                by_seed.setdefault(part.task.seed, []).append((part, record))
        for seed, parts in by_seed.items():
            units = tuple(_unit(part, record, twins, progress) for part, record in parts)
            yield Group(units, partial(_load, subject, seed, first, progress))


def _load(subject: Subject, seed: int | None, job: Job, progress: Progress) -> LoadedNetwork:
    protocol = job.settings.protocol
    what = "weights" if seed is None else f"{_BASELINES[protocol]}, seed {seed}"
    progress.say(f"{subject.model.reference.label}: loading {what}")
    return subject.load(seed, protocol, job.placement)


def _unit(part: Part, record: Record, twins: ForgivingTwinCache, progress: Progress) -> Unit:
    folder, keeps_twins = record.folder, part.job.settings.twin_cache and part.task.seed is not None

    def measure(network: LoadedNetwork, done: Collection[int]) -> Iterator[tuple[int, list[Row]]]:
        fitted = network.fitted_to(part.subject.name, part.plan.token_ids)
        if part.task.seed is None:
            folder.write_json(f"{READINGS}/{part.name}.json", {"model": part.subject.name, **asdict(fitted.reading)})
        return measure_batches(part.task, part.plan, fitted, done)

    def adopt() -> bool:
        """Takes a twin's measurements from the cache, under this run's names."""
        if not keeps_twins or folder.finished_batches(part.name):
            return False
        found = twins.get(part.twin_key)
        if found is None:
            return False
        model, dataset = part.subject.model.reference.label, part.task.dataset
        progress.say(f"{model} on {dataset}: twin {part.task.seed} was measured before")
        record.begin(part.name, part.key, progress)
        names = {"model": part.task.model, "dataset": dataset}
        folder.adopt_unit(part.name, found.with_columns(**{name: pl.lit(value) for name, value in names.items()}))
        return True

    def keep_twin(_network: LoadedNetwork) -> None:
        if keeps_twins:
            twins.put(part.twin_key, folder.finished_unit(part.name))

    return Unit(
        name=part.name,
        key=part.key,
        record=record,
        store=UnitFile(folder, part.name, part.task.layers.names),
        label=part.label,
        sizes=part.plan.sizes,
        counted="tokens",
        measure=measure,
        adopt=adopt,
        after=keep_twin,
        remark=_remark(part),
    )


def _remark(part: Part) -> str | None:
    """How many texts are measured by their first tokens alone."""
    if not part.plan.cut or part.task.seed is not None:
        return None
    longest = part.job.layout(part.subject.model).longest
    return f"{part.label}: {part.plan.cut:,} texts are cut to {longest:,} tokens"


def _cache(jobs: Sequence[Job], progress: Progress) -> ForgivingTwinCache:
    """The user's cache of twins, where a job may use it."""
    wanted = any(job.settings.twin_cache and job.settings.untrained_seeds for job in jobs)
    return ForgivingTwinCache.of_the_user(progress.say) if wanted else ForgivingTwinCache(None, progress.say)


def _conclude(job: Job, record: Record) -> None:
    folder = record.folder
    measurements = read_measurements(folder.path).sort("model", "dataset", maintain_order=True)
    rows = _in_order(job, with_initializers(summarize(measurements), _initializers(job)))
    notes = [asdict(note) for note in notes_on(rows, Run(folder.path).facts())]
    with folder.locked():
        folder.write_json(SUMMARY, {"schema": 1, "rows": rows, "notes": notes})
    record.conclude()


def _default_folder(job: Job) -> Path:
    return Path("runs") / f"{job.label}-{key_of(job.identity)[:8]}"


def _initializers(job: Job) -> dict[str, dict[str, float | str | None]]:
    """What a summary says of each model's twins, by reference."""
    keys = ("initializer_range", "initializer_source")
    records = {subject.name: subject.initializer_record for subject in job.subjects}
    return {name: {key: record[key] for key in keys} for name, record in records.items() if record}


def _in_order(job: Job, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    models = [subject.name for subject in job.subjects]
    names = [texts.name for texts in job.text_sets]
    return sorted(rows, key=lambda row: (models.index(row["model"]), names.index(row["dataset"])))
