"""Turns the references of a call into jobs: looks up and checks models, texts, and the sources of twins."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rankscope.errors import SettingsError
from rankscope.measuring import choose_layers, special_tokens_of_windows
from rankscope.metrics import parse_drop_rule
from rankscope.models import (
    TRANSFORMERS,
    Backend,
    Placement,
    check_same_shape,
    choose_initializer,
    dropout_of,
    outline_of,
    resolve_device,
)
from rankscope.runs.job import Job, refuse_twice
from rankscope.runs.subject import Subject
from rankscope.texts import changed_texts, check_chat_template, load_texts, parse_data_reference

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from transformers import PreTrainedModel

    from rankscope.models import Initializer, ModelDescription
    from rankscope.runs.progress import Progress
    from rankscope.settings import Settings
    from rankscope.texts import DataReference, TextSet

_ROWS_OF_A_REMARK = 500_000
_SAME_NETWORK = (
    "dtype",
    "device",
    "protocol",
    "untrained_from",
    "config_from",
    "initializer_range",
    "trust_remote_code",
)


def prepare(models: Sequence[str], data: Sequence[str], settings: Settings, backend: Backend = TRANSFORMERS) -> Job:
    """Resolves references and loads configurations, tokenizers and texts, but no weights.

    Raises:
        CallError: the call was wrong.
    """
    (job,) = prepare_each(models, data, [settings], backend)
    return job


def prepare_each(
    models: Sequence[str],
    data: Sequence[str],
    conditions: Sequence[Settings],
    backend: Backend = TRANSFORMERS,
    progress: Progress | None = None,
    device_of: Callable[[str], str] = resolve_device,
) -> list[Job]:
    """Prepares a job for each condition; models are looked up only once.

    Args:
        models: Model references.
        data: Data references.
        conditions: Settings of each job.
        backend: Source of networks.
        progress: Receives the number of rows while a long data set is read.
        device_of: Resolves a device setting, such as `auto` to `cuda`.

    Raises:
        CallError: the call was wrong.
    """
    if not models or not data:
        raise SettingsError("an evaluation needs at least one model and one data set (--data)")
    refuse_twice("model", models)
    if len({tuple(getattr(settings, name) for name in _SAME_NETWORK) for settings in conditions}) > 1:
        raise SettingsError(
            f"conditions of one evaluation share their networks: {', '.join(_SAME_NETWORK)} must be the same"
        )
    shared = conditions[0]
    dtype = "float32" if shared.protocol == "paper" else shared.dtype
    placement = Placement(dtype, device_of(shared.device))
    references = [_references(data, settings) for settings in conditions]
    refuse_twice("data set", [reference.name for reference in references[0]])
    described = [backend.describe(model, trust_remote_code=shared.trust_remote_code) for model in models]
    for settings in conditions:
        for model in described:
            choose_layers(model.config, settings)
            _check_texts_of(settings, model)
    baselines = [_baseline(model, shared, backend) for model in described]
    outlines = [outline_of(model) for model in described]
    jobs = []
    for of_one, settings in zip(references, conditions, strict=True):
        texts = tuple(_texts(reference, settings, progress) for reference in of_one)
        subjects = tuple(
            Subject(
                model,
                place,
                dropout_of(outline),
                baseline,
                _initializer(model, outline, settings),
                backend,
                outline.num_parameters(),
            )
            for place, (model, outline, baseline) in enumerate(zip(described, outlines, baselines, strict=True))
        )
        jobs.append(Job(subjects, texts, settings, placement))
    return jobs


def load_text_sets(data: Sequence[str], settings: Settings) -> tuple[TextSet, ...]:
    """Loads the texts that an evaluation with these settings would measure.

    Raises:
        CallError: a data set cannot be loaded, or two data sets have the same name.
    """
    references = _references(data, settings)
    refuse_twice("data set", [reference.name for reference in references])
    return tuple(_texts(reference, settings) for reference in references)


def _check_texts_of(settings: Settings, model: ModelDescription) -> None:
    """Rejects text settings that the model or its tokenizer does not support."""
    if settings.chat:
        check_chat_template(model.tokenizer, model.reference.text)
    if settings.window is None:
        return
    if settings.window > (model.positions or settings.window):
        raise SettingsError(
            f"window is {settings.window} tokens, but {model.reference.text} has {model.positions} positions: use a "
            "shorter one"
        )
    special_tokens_of_windows(model.tokenizer, settings.window, special_tokens=settings.special_tokens)


def _references(data: Sequence[str], settings: Settings) -> list[DataReference]:
    if settings.drop_tokens is not None:
        parse_drop_rule(settings.drop_tokens)
    return [
        parse_data_reference(one, settings.field, settings.template, settings.split, chat=settings.chat) for one in data
    ]


def _texts(reference: DataReference, settings: Settings, progress: Progress | None = None) -> TextSet:
    def told(rows: int) -> None:
        if progress is not None and rows % _ROWS_OF_A_REMARK == 0:
            progress.say(f"{reference.name}: {rows:,} rows read")

    texts = load_texts(
        reference, limit=settings.limit, sample_seed=settings.sample_seed, on_bad_row=settings.on_bad_row, told=told
    )
    return changed_texts(texts, settings.prefix, settings.perturbation)


def _baseline(model: ModelDescription, settings: Settings, backend: Backend) -> ModelDescription | None:
    """The checkpoint given by `untrained_from`, used instead of a twin; None if the setting is not given."""
    given = settings.untrained_from
    if given is None:
        return None
    text = model.reference.text.partition("@")[0] + given if given.startswith("@") else given
    baseline = backend.describe(text, trust_remote_code=settings.trust_remote_code)
    check_same_shape(model, baseline)
    return baseline


def _initializer(model: ModelDescription, outline: PreTrainedModel, settings: Settings) -> Initializer | None:
    """The initialisation of a model's untrained twin; None if no twin is drawn."""
    if settings.protocol not in ("default", "paper") or not settings.untrained_seeds:
        return None
    return choose_initializer(model, outline, settings.config_from, settings.initializer_range)
