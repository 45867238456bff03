"""`evaluate`: the main job."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from rankscope.execution import Execution, split_execution
from rankscope.measuring import measure_batches
from rankscope.models import TRANSFORMERS, Backend, LoadedNetwork, own_dtype
from rankscope.runs.addresses import Place
from rankscope.runs.carry_out import Group, Unit, UnitFile
from rankscope.runs.engine import Engine, opened_engine
from rankscope.runs.folder import READINGS, open_run_folder
from rankscope.runs.job import Job, Part
from rankscope.runs.measurements import part_file
from rankscope.runs.plans import Plans
from rankscope.runs.preparation import prepare_each
from rankscope.runs.progress import Progress, Silent
from rankscope.runs.record import Record
from rankscope.runs.run import Run
from rankscope.runs.session import session_of
from rankscope.runs.summary import write_summary
from rankscope.runs.twin_cache import ForgivingTwinCache, key_of
from rankscope.settings import Settings, changed

if TYPE_CHECKING:
    from transformers import PretrainedConfig

    from rankscope.measuring import Plan, Row, TextTask
    from rankscope.models import Placement
    from rankscope.runs.folder import RunFolder
    from rankscope.runs.subject import Subject
    from rankscope.settings import Protocol

_BASELINES = {
    "default": "untrained twin",
    "paper": "untrained twin in train mode",
    "permuted": "weights to shuffle",
    "revision": "baseline checkpoint",
}


def evaluate(
    models: str | Sequence[str],
    data: str | Sequence[str],
    *,
    output: Place | None = None,
    settings: Settings | None = None,
    progress: Progress | None = None,
    execution: Execution | None = None,
    **changes: object,
) -> Run:
    """Measures models and their untrained twins on texts, layer by layer.

    Args:
        models: Model references: hub id, folder or GGUF file, each with optional `@revision`.
        data: Data references: a catalogue name, `name=PATH`, a file, a folder or a hub id.
        output: The run's folder, or its address in an object store. Default: a folder under `runs/` named after the
            call. A folder of the same run is completed: existing measurements are not repeated.
        settings: All settings at once.
        progress: Receives progress. Default: silent.
        execution: Where and how the run is computed.
        changes: Settings by name, such as `limit=500, layers="all"`; see `Settings`. Also fields of `Execution`:
            `engine="ray"` measures on a Ray cluster, and `shard="2/7"` measures only the third of seven pieces of the
            run; `merge`, or the same call without a shard, finishes that run.

    Raises:
        CallError: the call was wrong; nothing was measured.
        RankscopeError: measuring failed; finished work is saved in the folder.
    """
    execution, changes = split_execution(execution, changes)
    chosen = changed(settings or Settings(), changes)
    (run,) = evaluate_each(models, data, [(output, chosen)], progress, execution=execution)
    return run


def evaluate_each(
    models: str | Sequence[str],
    data: str | Sequence[str],
    conditions: Sequence[tuple[Place | None, Settings]],
    progress: Progress | None = None,
    backend: Backend = TRANSFORMERS,
    execution: Execution | None = None,
) -> list[Run]:
    """Evaluates the same models under several conditions, loading each network only once.

    Args:
        models: As for `evaluate`.
        data: As for `evaluate`.
        conditions: A folder and settings for each run. Settings that determine the networks must be the same in all.
        progress: Receives progress. Default: silent.
        backend: Source of networks.
        execution: As for `evaluate`; a shard is a piece of all conditions together.

    Raises:
        SettingsError: conditions of different dtype, device, protocol or code.
        RankscopeError: as `evaluate`.
    """
    progress = progress or Silent()
    with opened_engine(execution or Execution(), progress) as engine:
        return _evaluate_each(models, data, conditions, backend, engine)


def _evaluate_each(
    models: str | Sequence[str],
    data: str | Sequence[str],
    conditions: Sequence[tuple[Place | None, Settings]],
    backend: Backend,
    engine: Engine,
) -> list[Run]:
    progress = engine.progress
    progress.say("reading texts, tokenizers and configurations")
    given = [data] if isinstance(data, str) else list(data)
    jobs = prepare_each(
        [models] if isinstance(models, str) else models,
        given,
        [settings for _, settings in conditions],
        backend,
        progress,
        engine.device_of,
    )
    for remark in dict.fromkeys(remark for job in jobs for texts in job.text_sets for remark in texts.remarks):
        progress.say(remark)
    records = [
        Record(
            open_run_folder(output or _default_folder(job), job.identity, progress.say, job.unit_names),
            session_of(job.placement.device, [texts.source for texts in job.text_sets]) | {"data": given},
        )
        for job, (output, _) in zip(jobs, conditions, strict=True)
    ]
    twins = _cache(jobs, progress)
    engine.carry_out(_groups(list(zip(jobs, records, strict=True)), twins, progress))
    for record in records:
        if engine.is_whole:
            write_summary(record.folder)
        record.conclude()
    return [Run(record.folder.place) for record in records]


def _groups(opened: Sequence[tuple[Job, Record]], twins: ForgivingTwinCache, progress: Progress) -> Iterator[Group]:
    """Yields a group for each model's trained network, then for its twins, with the data sets of all conditions."""
    first, _ = opened[0]
    planned = [(job, record, Plans(job, progress)) for job, record in opened]
    for place, subject in enumerate(first.subjects):
        reference = subject.model.reference
        if reference.has_tokenizer_above:
            progress.say(f"{reference.label}: using the tokenizer of {reference.tokenizer_location}")
        if reference.from_cache:
            progress.say(f"warning: the hub is unreachable: using the cached copy of {reference.label}")
        by_seed: dict[int | None, list[tuple[Part, Record]]] = {}
        for job, record, plans in planned:
            for part in job.parts(job.subjects[place], plans.of(job.subjects[place].model)):
                by_seed.setdefault(part.task.seed, []).append((part, record))
        for seed, parts in by_seed.items():
            units = tuple(_unit(part, record, twins, progress) for part, record in parts)
            load = partial(_load, subject, seed, first.settings.protocol, first.placement)
            yield Group(units, load, subject.size(first.placement), first.placement.device)


def _load(
    subject: Subject, seed: int | None, protocol: Protocol, placement: Placement, progress: Progress
) -> LoadedNetwork:
    what = "weights" if seed is None else f"{_BASELINES[protocol]}, seed {seed}"
    progress.say(f"{subject.model.reference.label}: loading {what}{_in_dtype(subject, placement)}")
    return subject.load(seed, protocol, placement)


def _in_dtype(subject: Subject, placement: Placement) -> str:
    """The remark on a non-default dtype other than float32."""
    dtype = subject.placed(placement).dtype
    if placement.dtype != "auto" or dtype == "float32":
        return ""
    why = ", as large hidden states overflow in float16" if own_dtype(subject.model.config) != dtype else ""
    return f" in {dtype}{why}"


def _unit(part: Part, record: Record, twins: ForgivingTwinCache, progress: Progress) -> Unit:
    folder, keeps_twins = record.folder, part.job.settings.twin_cache and part.task.seed is not None

    def adopt(numbers: Collection[int] | None) -> bool:
        """Takes a twin's measurements from the cache, under this run's names."""
        if not keeps_twins or (numbers is None and folder.finished_batches(part.name)):
            return False
        found = twins.get(part.twin_key)
        if found is None:
            return False
        model, dataset = part.subject.model.reference.label, part.task.dataset
        progress.say(f"{model} on {dataset}: twin {part.task.seed} is in the cache")
        record.begin(part.name, unit.about, progress)
        names = {"model": part.task.model, "dataset": dataset}
        found = found.with_columns(**{name: pl.lit(value) for name, value in names.items()})
        if numbers is None:
            folder.adopt_unit(part.name, found)
        for number in numbers or ():
            rows = found.filter(pl.col("text_index").is_in(part.plan.texts_of(number)))
            folder.write_frame(part_file(part.name, number), rows)
        return True

    def keep_twin(_load: Callable[[], LoadedNetwork], _progress: Progress) -> None:
        if keeps_twins:
            twins.put(part.twin_key, folder.finished_unit(part.name))

    measurement = _Measurement(part.task, part.plan, part.name, folder, part.subject.model.config)
    unit = Unit(
        name=part.name,
        key=part.key,
        record=record,
        store=UnitFile(folder, part.name, part.task.layers.names),
        label=part.label,
        sizes=part.plan.sizes,
        counted="tokens",
        measure=measurement,
        adopt=adopt,
        after=keep_twin,
        remark=_remark(part),
        excerpt=measurement.only,
        shared=part.twin_key if keeps_twins else None,
    )
    return unit


@dataclass(frozen=True)
class _Measurement:
    """Measures all or some batches of a plan.

    Attributes:
        task: What to measure.
        plan: The token ids.
        unit: Name of the unit.
        folder: The run's folder, where the network's reading is recorded.
        config: The model's configuration.
        fitting: Batches that determine how the network is read. Default: the decisive ones of the plan.
    """

    task: TextTask
    plan: Plan
    unit: str
    folder: RunFolder
    config: PretrainedConfig
    fitting: list[list[Sequence[int]]] | None = None

    def __call__(self, network: LoadedNetwork, done: Collection[int]) -> Iterator[tuple[int, list[Row]]]:
        """Yields the missing batches."""
        name = self.task.model
        fitted = network.fitted_to(name, self._fitting)
        if self.task.seed is None:
            self.folder.write_json(f"{READINGS}/{self.unit}.json", {"model": name, **asdict(fitted.reading)})
        return measure_batches(self.task, self.plan, fitted, done)

    @property
    def _fitting(self) -> list[list[Sequence[int]]]:
        return self.plan.decisive(self.config) if self.fitting is None else self.fitting

    def only(self, numbers: Collection[int]) -> _Measurement:
        """Restricts the measurement to some batches; the network is still fitted to all of them."""
        return replace(self, plan=self.plan.only(numbers), fitting=self._fitting)


def _remark(part: Part) -> str | None:
    """A remark on texts that are cut to the longest measurable length; only for the trained network."""
    if not part.plan.cut or part.task.seed is not None:
        return None
    longest = part.job.layout(part.subject.model).longest
    return f"{part.label}: {part.plan.cut:,} texts are cut to {longest:,} tokens"


def _cache(jobs: Sequence[Job], progress: Progress) -> ForgivingTwinCache:
    """The user's twin cache, if any job has a use for it; else an empty stand-in."""
    wanted = any(job.settings.twin_cache and job.settings.untrained_seeds for job in jobs)
    return ForgivingTwinCache.of_the_user(progress.say) if wanted else ForgivingTwinCache(None, progress.say)


def _default_folder(job: Job) -> Path:
    return Path("runs") / f"{job.label}-{key_of(job.identity)[:8]}"
