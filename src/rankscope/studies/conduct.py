"""Conducting a study: from its name and what was asked for to findings in a folder."""

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
    """A study that was conducted: what was asked for, and what came out."""

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
    """Conducts a study on models and data, its own unless others are given.

    Args:
        name: of `STUDIES`.
        options: models and data, and what single studies need besides; the paper's if left out.
        output: the folder for runs and results, or its address in an object store; left out, one under `studies/`
            named by what was asked for. Given again, only what is missing is computed.
        settings: of all evaluations.
        progress: told of progress; silent if left out.
        execution: where and how its evaluations are computed. Shards are for `measure_shard`.
        changes: settings by name, such as `limit=50`, and what `Execution` has, such as `engine="ray"`.

    Raises:
        UnknownNameError: no such study, family, model, data set or setting.
        SettingsError: a setting that the study decides itself, or an option that it does not read.
        RankscopeError: as `evaluate`.
    """
    execution, changes = split_execution(execution, changes)
    if execution.shard is not None:
        raise SettingsError("a shard of a study is measured by measure_shard; conduct concludes: leave shard out")
    study, request = _requested(
        name, options or StudyOptions(), output, changed(settings or Settings(), changes), progress, execution
    )
    if study.in_one_process and execution.engine != "local":
        raise SettingsError(f"study {name} works on one network in this process: leave engine {execution.engine!r} out")
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
    """Measures one shard of each of a study's evaluations, and concludes nothing: that is for `conduct`.

    Args:
        name: as for `conduct`, and so are all others.
        options: as for `conduct`.
        output: as for `conduct`; the same for all shards.
        settings: as for `conduct`.
        progress: as for `conduct`.
        execution: names the shard.
        changes: as for `conduct`; also `shard="0/4"`.

    Returns:
        The study's folder or address.

    Raises:
        SettingsError: the study measures more than evaluations, or no shard is named.
        RankscopeError: as `conduct`.
    """
    execution, changes = split_execution(execution, changes)
    if execution.shard is None:
        raise SettingsError("measure_shard measures one shard of a study: give shard, such as '0/4'")
    study, request = _requested(
        name, options or StudyOptions(), output, changed(settings or Settings(), changes), progress, execution
    )
    if (besides := study.besides(request)) is not None:
        raise SettingsError(f"study {name} cannot be cut into shards, as it also measures {besides}: leave --shard out")
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
            raise SettingsError(f"study {study.name} decides {name} itself, or does not read it: leave it out")
    for name, value in vars(options).items():
        if value is not None and name not in ("models", "data", *study.options):
            raise SettingsError(f"study {study.name} does not read {name}: leave it out")


def _subjects(study: Study, options: StudyOptions) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Models and data; where responses are given, who reads them, and their file."""
    if options.responses is None:
        return expand_families(options.models or study.models), options.data or study.data
    if options.models or options.data:
        raise SettingsError(f"{options.responses} holds the responses: leave models and data out")
    if options.judge is None:
        raise SettingsError(f"{options.responses} holds responses, but who reads them? Give --judge MODEL")
    return (options.judge,), (str(options.responses),)


def _default_folder(
    study: Study, models: Sequence[str], data: Sequence[str], settings: Settings, options: StudyOptions
) -> Path:
    content = [models, data, settings.identity, {name: str(value) for name, value in vars(options).items()}]
    digest = key_of(content)
    return Path("studies") / f"{study.name}-{digest[:8]}"
