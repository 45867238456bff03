"""`align`: how a vision-language model's image and text representations relate."""

from __future__ import annotations

import gc
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from rankscope.errors import RepresentationError, SettingsError
from rankscope.models import Placement, resolve_device
from rankscope.models.vision_language import describe_vision_language_model
from rankscope.runs.identity import UnitKey, model_entry
from rankscope.runs.integration import measure_integration
from rankscope.runs.job import refuse_twice, slug
from rankscope.runs.pair_loop import PairUnit, measure_pairs
from rankscope.runs.progress import Progress, Silent
from rankscope.runs.record import Record
from rankscope.runs.run import Run
from rankscope.runs.session import session_of
from rankscope.runs.store import SUMMARY, RunFolder, open_run_folder, read_measurements
from rankscope.runs.twin_cache import key_of
from rankscope.settings import AlignmentSettings, changed
from rankscope.statistics import BASE, summarize_alignment
from rankscope.texts import PairFields, load_pairs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from transformers import PreTrainedModel

    from rankscope.models.vision_language import VisionLanguageModel
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
    with open_run_folder(path, identity, progress.say) as (folder, manifest):
        session = session_of(placement.device, [pairs.source for pairs in pair_sets]) | {"data": list(data)}
        record = Record(folder, manifest, session)
        rates: dict[tuple[str, str, str], float | None] = {}
        for model, units in zip(described, _units(described, pair_sets, chosen), strict=True):
            rates |= _measure_model(model, units, chosen, placement, record, progress)
        rows = summarize_alignment(read_measurements(folder.path))
        for row in rows:
            row["modality_integration_rate"] = rates[row["model"], row["dataset"], row["control"]]  # type: ignore[index]
        folder.write_json(SUMMARY, {"schema": 1, "rows": rows, "notes": []})
        record.conclude()
    return Run(folder.path)


def _units(
    models: list[VisionLanguageModel], pair_sets: list[PairSet], settings: AlignmentSettings
) -> list[list[PairUnit]]:
    """For each model its data sets; files are named so that they are read back in this order."""
    controls = (BASE, *settings.controls)
    return [
        [
            PairUnit(
                f"{first:02d}-{slug(model.label)}_{second:02d}-{slug(pairs.name)}",
                model, pairs, controls, settings.max_length,
            )
            for second, pairs in enumerate(pair_sets)
        ]
        for first, model in enumerate(models)
    ]  # fmt: skip


def _measure_model(
    model: VisionLanguageModel,
    units: list[PairUnit],
    settings: AlignmentSettings,
    placement: Placement,
    record: Record,
    progress: Progress,
) -> dict[tuple[str, str, str], float | None]:
    """Pairs first, then the integration rates; returns the latter by model, data set and control."""
    folder = record.folder
    network: PreTrainedModel | None = None
    rates: dict[tuple[str, str, str], float | None] = {}
    for unit in units:
        key = _unit_key(unit, settings, placement)
        record.verify(unit.name, key)
        stored = _read_rates(folder, unit)
        if network is None and not (folder.is_finished(unit.name) and set(unit.controls) <= set(stored)):
            progress.say(f"{model.label}: loading weights")
            network = model.load(placement)
            model.refuse_changed()
            for name in getattr(network, "left_over", ()):
                progress.say(f"{model.label}: {name} is no part of the model")
        if network is not None and not folder.is_finished(unit.name):
            record.begin(unit.name, key, progress)
            progress.start(f"{model.label} on {unit.pairs.name}", len(unit.pairs.pairs), unit="pairs")
            measure_pairs(unit, network, folder, progress)
        for control in unit.controls:
            if control not in stored:
                stored[control] = _rate(unit, network, control, settings, folder, progress)
                folder.write_json(_rates_file(unit), stored)
        rates |= {(model.text, unit.pairs.name, control): stored[control] for control in unit.controls}
    del network
    gc.collect()
    return rates


def _rate(
    unit: PairUnit,
    network: PreTrainedModel | None,
    control: str,
    settings: AlignmentSettings,
    folder: RunFolder,
    progress: Progress,
) -> float | None:
    """The integration rate over the first pairs that could be measured; None where they are too few."""
    usable = folder.finished_unit(unit.name).filter(pl.col("status") == "ok")
    complete = usable.group_by("text_index").len().filter(pl.col("len") == len(unit.controls))
    indices = sorted(complete["text_index"].to_list())[: settings.integration_items]
    if not indices or network is None:
        return None
    label = f"{unit.model.label} on {unit.pairs.name}, {control}: modality integration"
    progress.start(label, 2 * len(indices), unit="passes")
    try:
        return measure_integration(unit, network, indices, control, progress)
    except RepresentationError as error:
        progress.say(f"{label}: {error}")
        return None


def _unit_key(unit: PairUnit, settings: AlignmentSettings, placement: Placement) -> UnitKey:
    """All that a unit's numbers depend on, but for versions, which each session records."""
    everything = {
        "model": unit.model.fingerprint,
        "pairs": unit.pairs.fingerprint,
        "controls": unit.controls,
        "settings": asdict(settings),
        "device": placement.device,
        "tokens": unit.tokens_digest,
    }
    return UnitKey(unit.tokens_digest, key_of(everything))


def _rates_file(unit: PairUnit) -> str:
    return f"integration/{unit.name}.json"


def _read_rates(folder: RunFolder, unit: PairUnit) -> dict[str, float | None]:
    file = folder.path / _rates_file(unit)
    found: dict[str, float | None] = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    return found


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
