"""Conducts studies by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rankscope.errors import SettingsError, UnknownNameError
from rankscope.execution import Execution, split_execution
from rankscope.models import expand_families
from rankscope.runs import Place, Progress, Silent, child, key_of, opened_engine
from rankscope.settings import Settings, StudyOptions, changed
from rankscope.studies.conditions import evaluate_grid
from rankscope.studies.questions import (
    aggregation,
    architectures,
    benchmarks,
    compression,
    families,
    layers,
    lengths,
    multimodal,
    perturbations,
    prompts,
    responses,
    rotation,
    sampling,
    scaling,
    timing,
    training,
)
from rankscope.studies.study import Findings, Request, Study

STUDIES: dict[str, Study] = {
    module.STUDY.name: module.STUDY
    for module in (
        scaling,
        benchmarks,
        families,
        aggregation,
        layers,
        training,
        architectures,
        sampling,
        timing,
        lengths,
        perturbations,
        prompts,
        responses,
        multimodal,
        rotation,
        compression,
    )
}
"""All studies by name."""


@dataclass(frozen=True)
class Conducted:
    """A conducted study: the request and the findings."""

    study: Study
    request: Request
    findings: Findings


def conduct(
    name: str,
    options: StudyOptions | None = None,
    *,
    output: Place | None = None,
    settings: Settings | None = None,
    progress: Progress | None = None,
    execution: Execution | None = None,
    **changes: object,
) -> Conducted:
    """Conducts a study on models and data, by default its own.

    Args:
        name: A key of `STUDIES`.
        options: Models, data, and options of single studies. Default: the study's own models and data.
        output: The folder for runs and results, or its address in an object store. Default: a folder under `studies/`
            named after the request. If it exists, only what is missing is computed.
        settings: Settings of all evaluations.
        progress: Receives progress. Default: silent.
        execution: Where and how evaluations are computed. Shards are for `measure_shard`.
        changes: Settings by name, such as `limit=50`, and fields of `Execution`, such as `engine="ray"`.

    Raises:
        UnknownNameError: the study, or a family, model, data set or setting, does not exist.
        SettingsError: a setting was changed that the study sets itself, or an option was given that it does not use.
        RankscopeError: as for `evaluate`.
    """
    execution, changes = split_execution(execution, changes)
    if execution.shard is not None:
        raise SettingsError("conduct draws conclusions from whole runs: use measure_shard for a shard, or omit shard")
    study, request = _requested(
        name, options or StudyOptions(), output, changed(settings or Settings(), changes), progress, execution
    )
    if study.in_one_process and execution.engine != "local":
        raise SettingsError(f"study {name} runs in a single process: omit engine {execution.engine!r}")
    with opened_engine(execution, request.progress):  # one cluster for all evaluations
        return Conducted(study, request, study.conduct(request))


def measure_shard(
    name: str,
    options: StudyOptions | None = None,
    *,
    output: Place | None = None,
    settings: Settings | None = None,
    progress: Progress | None = None,
    execution: Execution | None = None,
    **changes: object,
) -> Place:
    """Measures one shard of each of a study's evaluations; `conduct` draws the conclusions.

    Args:
        name: As for `conduct`.
        options: As for `conduct`.
        output: As for `conduct`; the same for all shards.
        settings: As for `conduct`.
        progress: As for `conduct`.
        execution: Names the shard.
        changes: As for `conduct`; also `shard="0/4"`.

    Returns:
        The study's folder or address.

    Raises:
        SettingsError: the study measures more than evaluations, or no shard was given.
        RankscopeError: as for `conduct`.
    """
    execution, changes = split_execution(execution, changes)
    if execution.shard is None:
        raise SettingsError("measure_shard needs a shard, such as shard='0/4'")
    study, request = _requested(
        name, options or StudyOptions(), output, changed(settings or Settings(), changes), progress, execution
    )
    if (also_measures := study.also_measures(request)) is not None:
        raise SettingsError(f"study {name} cannot be split into shards: it also measures {also_measures}. Omit --shard")
    for grid in study.grids(request):
        evaluate_grid(request, grid)
    return request.folder


def _requested(
    name: str,
    options: StudyOptions,
    output: Place | None,
    settings: Settings,
    progress: Progress | None,
    execution: Execution,
) -> tuple[Study, Request]:
    if name not in STUDIES:
        raise UnknownNameError("study", name, STUDIES)
    study = STUDIES[name]
    _refuse_what_the_study_decides(study, settings, options)
    models, texts = _subjects(study, options)
    folder = child(output) if output else _default_folder(study, models, texts, settings, options)
    return study, Request(models, texts, settings, options, folder, progress or Silent(), execution)


def _refuse_what_the_study_decides(study: Study, settings: Settings, options: StudyOptions) -> None:
    usual = Settings()
    for name in study.decides:
        if getattr(settings, name) != getattr(usual, name):
            raise SettingsError(f"study {study.name} sets {name} itself or does not use it: omit it")
    for name, value in vars(options).items():
        if value is not None and name not in ("models", "data", *study.options):
            raise SettingsError(f"study {study.name} does not use {name}: omit it")


def _subjects(study: Study, options: StudyOptions) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The models and data; if responses are given, the judge and the file of responses."""
    if options.responses is None:
        return expand_families(options.models or study.models), options.data or study.data
    if options.models or options.data:
        raise SettingsError("models and data cannot be combined with --responses: omit them")
    if options.judge is None:
        raise SettingsError("--judge MODEL is required with --responses")
    return (options.judge,), (str(options.responses),)


def _default_folder(
    study: Study, models: Sequence[str], data: Sequence[str], settings: Settings, options: StudyOptions
) -> Path:
    content = [models, data, settings.identity, {name: str(value) for name, value in vars(options).items()}]
    digest = key_of(content)
    return Path("studies") / f"{study.name}-{digest[:8]}"
