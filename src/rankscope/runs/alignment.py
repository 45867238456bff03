"""`align`: how a vision-language model's image and text representations relate."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from rankscope.errors import RepresentationError, SettingsError
from rankscope.execution import Execution, split_execution
from rankscope.measuring import PASSES, PairTask, measure_integration, measure_pairs
from rankscope.models import Placement
from rankscope.models.vision_language import describe_vision_language_model
from rankscope.runs.addresses import Place
from rankscope.runs.carry_out import Group, Unit, UnitFile
from rankscope.runs.engine import Engine, opened_engine
from rankscope.runs.folder import open_run_folder
from rankscope.runs.identity import UnitKey, model_entry
from rankscope.runs.job import refuse_twice, slug
from rankscope.runs.progress import Progress, Silent
from rankscope.runs.record import Record
from rankscope.runs.run import Run
from rankscope.runs.session import session_of
from rankscope.runs.summary import rates_file, read_rates, write_summary
from rankscope.runs.twin_cache import key_of
from rankscope.settings import AlignmentSettings, changed
from rankscope.statistics import BASE
from rankscope.texts import PairFields, load_pairs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from rankscope.measuring import Row
    from rankscope.models.vision_language import VisionLanguageModel, VisionLanguageNetwork
    from rankscope.runs.manifest import UnitRecord
    from rankscope.texts import PairSet


def align(
    models: str | Sequence[str],
    data: str | Sequence[str],
    *,
    output: Place | None = None,
    settings: AlignmentSettings | None = None,
    progress: Progress | None = None,
    execution: Execution | None = None,
    **changes: object,
) -> Run:
    """Measures vision-language models on image-text pairs: eRank1 to eRank5 and the ratios based on them.

    Args:
        models: A hub id, a folder, `pico-vlm`, or `minigpt-v2=LLAMA,EVA,CHECKPOINT`; one or several.
        data: A file of pairs, a folder of images, a hub id, or `drawn-scenes`; one or several.
        output: The run's folder, or its address in an object store. Default: a folder under `runs/`. A folder of the
            same run is completed.
        settings: All settings at once.
        progress: Receives progress. Default: silent.
        execution: Where and how the run is computed.
        changes: Settings by name, such as `limit=500, controls=["rotated-90", "shuffled"]`; see `AlignmentSettings`.
            Also fields of `Execution`: `engine="ray"` measures on a Ray cluster, and `shard="2/7"` measures the third
            of seven pieces of the pairs; the same call without a shard then measures the integration rates, which
            cover all pairs, and finishes the run.

    Raises:
        CallError: the call was wrong; nothing was measured.
        RankscopeError: measuring failed; finished work is saved in the folder.
    """
    execution, changes = split_execution(execution, changes)
    if "controls" in changes:  # the Python keyword is plural, the setting is singular
        changes["control"] = changes.pop("controls") or None
    chosen = changed(settings or AlignmentSettings(), changes)
    models, data = [models] if isinstance(models, str) else models, [data] if isinstance(data, str) else data
    if not models or not data:
        raise SettingsError("an alignment needs at least one model and one data set (--data)")
    with opened_engine(execution, progress or Silent()) as engine:
        return _align(models, data, output, chosen, engine)


def _align(
    models: Sequence[str], data: Sequence[str], output: Place | None, chosen: AlignmentSettings, engine: Engine
) -> Run:
    progress = engine.progress
    progress.say("reading pairs, tokenizers and configurations")
    placement = Placement(chosen.dtype, engine.device_of(chosen.device))
    pair_sets = [load_pairs(one, _fields(chosen), limit=chosen.limit) for one in data]
    described = [describe_vision_language_model(one, trust_remote_code=chosen.trust_remote_code) for one in models]
    identity = _identity(chosen, placement, described, pair_sets)
    tasks = {
        f"{row:02d}-{slug(model.label)}_{place:02d}-{slug(pairs.name)}": PairTask(
            model, pairs, (BASE, *chosen.controls), chosen.max_length
        )
        for row, model in enumerate(described)
        for place, pairs in enumerate(pair_sets)
    }
    where = output or _default_folder(described, pair_sets, identity)
    folder = open_run_folder(where, identity, progress.say, list(tasks))
    session = session_of(placement.device, [pairs.source for pairs in pair_sets]) | {"data": list(data)}
    part = _Part(chosen, placement, Record(folder, session))
    engine.carry_out(_groups(part, tasks))
    if engine.is_whole:
        write_summary(folder)
    part.record.conclude()
    return Run(folder.place)


@dataclass(frozen=True)
class _Part:
    """What the units of a run share: settings, placement and record."""

    settings: AlignmentSettings
    placement: Placement
    record: Record


@dataclass(frozen=True)
class _PairFile:
    """Storage of a unit: a file of its pairs, and a separate file of the integration rates over all pairs."""

    pairs: UnitFile
    task: PairTask

    @property
    def order(self) -> tuple[str, ...]:
        """Controls, in the order of a pair's rows."""
        return self.pairs.order

    @property
    def column(self) -> str:
        """`control`."""
        return self.pairs.column

    def rates(self) -> dict[str, float | None]:
        """Existing integration rates, by control."""
        return read_rates(self.pairs.folder.storage, self.pairs.name)

    def is_finished(self) -> bool:
        """Whether all pairs and integration rates exist."""
        return self.pairs.is_finished() and set(self.task.controls) <= set(self.rates())

    def batches(self) -> set[int]:
        """Numbers of the existing batches of pairs."""
        return set(range(len(self.task.batches))) if self.pairs.is_finished() else self.pairs.batches()

    def keep(self, number: int, rows: list[Row]) -> None:
        """Writes a batch's file."""
        self.pairs.keep(number, rows)

    def finish(self, record: UnitRecord) -> None:
        """Joins the batches."""
        self.pairs.finish(record)


def _groups(part: _Part, tasks: Mapping[str, PairTask]) -> list[Group]:
    """A group for each model, with its units on all sets of pairs."""
    units: dict[str, list[Unit]] = {}
    loads: dict[str, Callable[[Progress], VisionLanguageNetwork]] = {}
    for name, task in tasks.items():
        store = _PairFile(UnitFile(part.record.folder, name, task.controls, "control"), task)
        units.setdefault(task.model.text, []).append(_unit(part, store))
        placement = part.placement.of(task.model.language.config)
        loads[task.model.text] = partial(_load, task.model, placement)
    device = part.placement.device
    return [Group(tuple(of_model), loads[model], device=device) for model, of_model in units.items()]


def _unit(part: _Part, store: _PairFile) -> Unit:
    task = store.task
    return Unit(
        name=store.pairs.name,
        key=_unit_key(task, part),
        record=part.record,
        store=store,
        label=f"{task.model.label} on {task.pairs.name}",
        sizes=tuple(len(batch) for batch in task.batches),
        counted="pairs",
        measure=partial(measure_pairs, task),
        after=partial(_measure_rates, part, store),
        needs_network_after=part.settings.integration_items > 0,
    )


def _load(model: VisionLanguageModel, placement: Placement, progress: Progress) -> VisionLanguageNetwork:
    progress.say(f"{model.label}: loading weights")
    network = model.load_network(placement)
    for name in network.left_over:
        progress.say(f"{model.label}: {name} is not part of the model")
    return network


def _measure_rates(
    part: _Part, store: _PairFile, network: Callable[[], VisionLanguageNetwork], progress: Progress
) -> None:
    """Measures and saves the missing integration rates, one for each control."""
    rates = store.rates()
    for control in store.task.controls:
        if control not in rates:
            rates[control] = _rate(part, store, network, control, progress)
            part.record.folder.write_json(rates_file(store.pairs.name), rates)


def _rate(
    part: _Part, store: _PairFile, network: Callable[[], VisionLanguageNetwork], control: str, progress: Progress
) -> float | None:
    """The integration rate over the first pairs that could be measured under all controls; None if undefined."""
    task = store.task
    usable = part.record.folder.finished_unit(store.pairs.name).filter(pl.col("status") == "ok")
    complete = usable.group_by("text_index").len().filter(pl.col("len") == len(task.controls))
    indices = sorted(complete["text_index"].to_list())[: part.settings.integration_items]
    if not indices:
        return None
    label = f"{task.model.label} on {task.pairs.name}, {control}: modality integration"
    progress.start(label, PASSES * len(indices), unit="passes")
    try:
        return measure_integration(task, network(), indices, control, lambda: progress.advance(1, computed=True))
    except RepresentationError as error:
        progress.say(f"{label}: {error}")
        return None


def _unit_key(task: PairTask, part: _Part) -> UnitKey:
    """Digests of everything that determines a unit's numbers, except versions, which each session records."""
    everything = {
        "model": task.model.fingerprint,
        "pairs": task.pairs.fingerprint,
        "controls": task.controls,
        "settings": asdict(part.settings) | asdict(part.placement.of(task.model.language.config)),
        "tokens": task.tokens_digest,
    }
    return UnitKey(task.tokens_digest, key_of(everything))


def _fields(settings: AlignmentSettings) -> PairFields:
    return PairFields(
        images=Path(settings.images) if settings.images is not None else None,
        image=settings.image_field,
        instruction=settings.instruction_field,
        response=settings.response_field,
        prompt=settings.prompt,
        split=settings.split,
    )


def _identity(
    settings: AlignmentSettings, placement: Placement, models: list[VisionLanguageModel], pair_sets: list[PairSet]
) -> dict[str, Any]:
    """The run's identity: two runs are the same if their identities are equal."""
    refuse_twice("model", [model.text for model in models])
    refuse_twice("data set", [pairs.name for pairs in pair_sets])
    dtypes = dict.fromkeys(placement.of(model.language.config).dtype for model in models)
    return {
        "kind": "alignment",
        "settings": asdict(settings) | {"device": placement.device, "dtype": ", ".join(dtypes)},
        "models": [model_entry(model.text, model.language.revision, model.parts_of_fingerprint) for model in models],
        "data": [{"name": pairs.name, "fingerprint": pairs.fingerprint} for pairs in pair_sets],
    }


def _default_folder(models: list[VisionLanguageModel], pair_sets: list[PairSet], identity: dict[str, Any]) -> Place:
    digest = key_of(identity)
    names = [*(model.label for model in models), *(pairs.name for pairs in pair_sets)]
    return Path("runs") / f"align-{'_'.join(slug(name) for name in names)[:110]}-{digest[:8]}"
