"""`align`: how a vision-language model's image and text representations relate."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from rankscope.errors import RepresentationError, SettingsError
from rankscope.measuring import PASSES, PairTask, measure_integration, measure_pairs
from rankscope.models import Placement, resolve_device
from rankscope.models.vision_language import describe_vision_language_model
from rankscope.runs.carry_out import Group, Unit, UnitFile, carry_out
from rankscope.runs.folder import SUMMARY, open_run_folder, read_measurements
from rankscope.runs.identity import UnitKey, model_entry
from rankscope.runs.job import refuse_twice, slug
from rankscope.runs.progress import Progress, Silent
from rankscope.runs.record import Record
from rankscope.runs.run import Run
from rankscope.runs.session import session_of
from rankscope.runs.twin_cache import key_of
from rankscope.settings import AlignmentSettings, changed
from rankscope.statistics import BASE, summarize_alignment
from rankscope.texts import PairFields, load_pairs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rankscope.measuring import Row
    from rankscope.models.vision_language import VisionLanguageModel, VisionLanguageNetwork
    from rankscope.texts import PairSet


def align(
    models: str | Sequence[str],
    data: str | Sequence[str],
    *,
    controls: str | Sequence[str] = (),
    output: str | Path | None = None,
    settings: AlignmentSettings | None = None,
    progress: Progress | None = None,
    **changes: object,
) -> Run:
    """Measures vision-language models on image-text pairs: eRank1 to eRank5 and what follows from them.

    Args:
        models: a hub id, a folder, `pico-vlm`, or `minigpt-v2=LLAMA,EVA,CHECKPOINT`; one or several.
        data: a file of pairs, a folder of images, a hub id, or `drawn-scenes`; one or several.
        controls: what images are replaced with, such as `["rotated-90", "shuffled"]`; the same as `control`.
        output: the run's folder; left out, one under `runs/`. A folder of the same run is completed.
        settings: all settings at once.
        progress: told of progress; silent if left out.
        changes: settings by name, such as `limit=500, dtype="bfloat16"`; see `AlignmentSettings`.

    Raises:
        CallError: the call was wrong; nothing was measured.
        RankscopeError: measuring failed; what was finished is kept in the folder.
    """
    progress = progress or Silent()
    chosen = changed(settings or AlignmentSettings(), changes | ({"control": controls} if controls else {}))
    models, data = [models] if isinstance(models, str) else models, [data] if isinstance(data, str) else data
    if not models or not data:
        raise SettingsError("an alignment needs at least one model and one data set (--data)")
    progress.say("reading pairs, tokenizers and configurations")
    placement = Placement(chosen.dtype, resolve_device(chosen.device))
    pair_sets = [load_pairs(one, _fields(chosen), limit=chosen.limit) for one in data]
    described = [describe_vision_language_model(one, trust_remote_code=chosen.trust_remote_code) for one in models]
    identity = _identity(chosen, placement, described, pair_sets)
    path = Path(output) if output else _default_folder(described, pair_sets, identity)
    folder = open_run_folder(path, identity, progress.say)
    session = session_of(placement.device, [pairs.source for pairs in pair_sets]) | {"data": list(data)}
    part = _Part(chosen, placement, Record(folder, session), progress)
    stores: list[_PairFile] = []
    groups = []
    for first, model in enumerate(described):
        units = []
        for second, pairs in enumerate(pair_sets):
            name = f"{first:02d}-{slug(model.label)}_{second:02d}-{slug(pairs.name)}"
            task = PairTask(model, pairs, (BASE, *chosen.controls), chosen.max_length)
            stores.append(_PairFile(UnitFile(folder, name, task.controls, "control"), task))
            units.append(_unit(part, stores[-1]))
        groups.append(Group(tuple(units), partial(_load, model, placement, progress)))
    carry_out(groups, progress)
    rows = summarize_alignment(read_measurements(folder.path))
    rates = {key: rate for store in stores for key, rate in store.rates_by_row().items()}
    for row in rows:
        row["modality_integration_rate"] = rates[str(row["model"]), str(row["dataset"]), str(row["control"])]
    with folder.locked():
        folder.write_json(SUMMARY, {"schema": 1, "rows": rows, "notes": []})
    part.record.conclude()
    return Run(folder.path)


@dataclass(frozen=True)
class _Part:
    """What all units of a run share."""

    settings: AlignmentSettings
    placement: Placement
    record: Record
    progress: Progress


@dataclass(frozen=True)
class _PairFile:
    """A unit's pairs in its file, and beside it the integration rates over all of them."""

    pairs: UnitFile
    task: PairTask

    @property
    def rates_file(self) -> str:
        """Where the rates are."""
        return f"integration/{self.pairs.name}.json"

    def rates(self) -> dict[str, float | None]:
        """By control; those that are there."""
        file = self.pairs.folder.path / self.rates_file
        found: dict[str, float | None] = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
        return found

    def rates_by_row(self) -> dict[tuple[str, str, str], float | None]:
        """The same by model, data set and control."""
        return {(self.task.model.text, self.task.pairs.name, control): rate for control, rate in self.rates().items()}

    def is_finished(self) -> bool:
        """Whether pairs and rates are there."""
        return self.pairs.is_finished() and set(self.task.controls) <= set(self.rates())

    def batches(self) -> set[int]:
        """Batches of pairs that are there."""
        return set(range(len(self.task.batches))) if self.pairs.is_finished() else self.pairs.batches()

    def keep(self, number: int, rows: list[Row]) -> None:
        """Writes a batch's file."""
        self.pairs.keep(number, rows)

    def finish(self) -> None:
        """Joins the batches."""
        if not self.pairs.is_finished():
            self.pairs.finish()


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
    )


def _load(model: VisionLanguageModel, placement: Placement, progress: Progress) -> VisionLanguageNetwork:
    progress.say(f"{model.label}: loading weights")
    network = model.load_network(placement)
    for name in network.left_over:
        progress.say(f"{model.label}: {name} is no part of the model")
    return network


def _measure_rates(part: _Part, store: _PairFile, network: VisionLanguageNetwork) -> None:
    """The integration rate under each control that is missing."""
    rates = store.rates()
    for control in store.task.controls:
        if control not in rates:
            rates[control] = _rate(part, store, network, control)
            part.record.folder.write_json(store.rates_file, rates)


def _rate(part: _Part, store: _PairFile, network: VisionLanguageNetwork, control: str) -> float | None:
    """The integration rate over the first pairs that could be measured; None where they are too few."""
    task, progress = store.task, part.progress
    usable = part.record.folder.finished_unit(store.pairs.name).filter(pl.col("status") == "ok")
    complete = usable.group_by("text_index").len().filter(pl.col("len") == len(task.controls))
    indices = sorted(complete["text_index"].to_list())[: part.settings.integration_items]
    if not indices:
        return None
    label = f"{task.model.label} on {task.pairs.name}, {control}: modality integration"
    progress.start(label, PASSES * len(indices), unit="passes")
    try:
        return measure_integration(task, network, indices, control, lambda: progress.advance(1, computed=True))
    except RepresentationError as error:
        progress.say(f"{label}: {error}")
        return None


def _unit_key(task: PairTask, part: _Part) -> UnitKey:
    """All that a unit's numbers depend on, but for versions, which each session records."""
    everything = {
        "model": task.model.fingerprint,
        "pairs": task.pairs.fingerprint,
        "controls": task.controls,
        "settings": asdict(part.settings),
        "device": part.placement.device,
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
    """What makes two runs the same."""
    refuse_twice("model", [model.text for model in models])
    refuse_twice("data set", [pairs.name for pairs in pair_sets])
    return {
        "kind": "alignment",
        "settings": asdict(settings) | {"device": placement.device},
        "models": [model_entry(model.text, model.language.revision, model.parts_of_fingerprint) for model in models],
        "data": [{"name": pairs.name, "fingerprint": pairs.fingerprint} for pairs in pair_sets],
    }


def _default_folder(models: list[VisionLanguageModel], pair_sets: list[PairSet], identity: dict[str, Any]) -> Path:
    digest = key_of(identity)
    names = [*(model.label for model in models), *(pairs.name for pairs in pair_sets)]
    return Path("runs") / f"align-{'_'.join(slug(name) for name in names)[:110]}-{digest[:8]}"
