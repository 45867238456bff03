"""What a call asks for, worked out before anything is measured or written."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, replace
from importlib import metadata
from typing import TYPE_CHECKING, Any

from rankscope.errors import SettingsError
from rankscope.metrics import parse_drop_rule
from rankscope.models import (
    Placement,
    check_same_shape,
    choose_initializer,
    describe_model,
    dropout_of,
    layers_of,
    load_model,
    outline_of,
    parse_model_reference,
    permuted_twin,
    plain_config,
    resolve_device,
    untrained_twin,
)
from rankscope.runs.identity import UnitKey, model_entry
from rankscope.runs.loop import Unit
from rankscope.runs.plan import Layout, Plan, plan_batches, special_tokens_of_windows
from rankscope.runs.twin_cache import key_of
from rankscope.texts import changed_texts, check_chat_template, load_texts, parse_data_reference

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from transformers import PretrainedConfig, PreTrainedModel

    from rankscope.models import Initializer, ModelDescription
    from rankscope.settings import Settings
    from rankscope.texts import DataReference, TextSet

_BATCH_TOKENS = {"cpu": 1024}
_BATCH_TOKENS_ELSEWHERE = 16384
# Written in a configuration, but no part of the untrained network.
_NOT_THE_TWINS = ("dtype", "quantization_config", "architectures")


_SAME_NETWORK = (
    "dtype",
    "device",
    "protocol",
    "untrained_from",
    "config_from",
    "initializer_range",
    "trust_remote_code",
)


@dataclass(frozen=True)
class Job:
    """Models, texts and settings of a run, resolved and checked.

    Attributes:
        models: to measure.
        text_sets: to measure them on.
        settings: as given.
        placement: dtype and device.
        baselines: for each model the checkpoint that stands in for its twin, under protocol `revision`.
        dropouts: for each model the largest dropout that it applies in train mode.
        initializers: for each model how its untrained twin is initialised, under protocols `default` and `paper`.
    """

    models: tuple[ModelDescription, ...]
    text_sets: tuple[TextSet, ...]
    settings: Settings
    placement: Placement
    baselines: tuple[ModelDescription, ...] = ()
    dropouts: tuple[float, ...] = ()
    initializers: tuple[Initializer, ...] = ()

    @property
    def identity(self) -> dict[str, Any]:
        """What makes two runs the same: any difference means other numbers."""
        settings = {"device": self.placement.device, "batch_tokens": self.batch_tokens}
        identity: dict[str, Any] = {
            "settings": self.settings.identity | settings,
            "models": [
                _model_identity(model) | {"dropout": dropout} | self.initializer_record(model)
                for model, dropout in zip(self.models, self.dropouts, strict=True)
            ],
            "data": [{"name": texts.name, "fingerprint": texts.fingerprint} for texts in self.text_sets],
        }
        if self.baselines:
            identity["baselines"] = [_model_identity(model) for model in self.baselines]
        return identity

    @property
    def batch_tokens(self) -> int | None:
        """Tokens in a batch; None for one text at a time."""
        if self.settings.protocol == "paper":
            return None
        return self.settings.batch_tokens or _BATCH_TOKENS.get(self.placement.device, _BATCH_TOKENS_ELSEWHERE)

    def max_length(self, model: ModelDescription) -> int:
        """The longest text of a model in tokens: the setting, or the positions that the model has."""
        return min(self.settings.max_length, model.positions or self.settings.max_length)

    def plan(self, model: ModelDescription, texts: TextSet) -> Plan:
        """The batches of one model on one set of texts."""
        settings = self.settings
        layout = Layout(
            self.max_length(model),
            settings.window,
            self.batch_tokens,
            settings.perturbation,
            settings.special_tokens,
            settings.skip_overlong,
            settings.on_bad_row,
        )
        return plan_batches(texts, model.tokenizer, layout)

    def baseline(self, model: ModelDescription, seed: int) -> PreTrainedModel:
        """The network that a model is compared with, by the protocol."""
        if self.settings.protocol == "revision":
            return load_model(self.baselines[self.models.index(model)], self.placement)
        if self.settings.protocol == "permuted":
            return permuted_twin(model, seed, self.placement)
        model = replace(model, config=self._config_of_twin(model))
        return untrained_twin(model, seed, self.placement, train_mode=self.settings.protocol == "paper")

    def initializer(self, model: ModelDescription) -> Initializer | None:
        """How a model's untrained twin is initialised; None where the run has no such twin."""
        return self.initializers[self.models.index(model)] if self.initializers else None

    def initializer_record(self, model: ModelDescription) -> dict[str, Any]:
        """The same for manifest and summary: the range, where it comes from, and all values."""
        initializer = self.initializer(model)
        if initializer is None:
            return {}
        return {
            "initializer_range": initializer.range,
            "initializer_source": initializer.source,
            "initializer": dict(initializer.values),
        }

    def _config_of_twin(self, model: ModelDescription) -> PretrainedConfig:
        initializer = self.initializer(model)
        return model.config if initializer is None else initializer.config

    def _twin_configuration(self, model: ModelDescription) -> dict[str, Any]:
        """The same as JSON, without what an untrained network's numbers do not depend on."""
        config = plain_config(self._config_of_twin(model))
        return {name: value for name, value in config.items() if name not in _NOT_THE_TWINS}

    def twin_key(self, model: ModelDescription, unit: Unit, plan: Plan) -> str:
        """A name for all that a twin's measurements depend on; weights only where the protocol uses them."""
        weights = {
            "permuted": model.parts.network_digest,
            "revision": self.baselines[self.models.index(model)].parts.network_digest if self.baselines else None,
        }.get(self.settings.protocol)
        return key_of(
            {
                "config": self._twin_configuration(model),
                "code": model.parts.code,
                "weights": weights,
                "protocol": self.settings.protocol,
                "seed": unit.seed,
                "texts": plan.fingerprint,
                "layers": unit.layers,
                "metrics": unit.metrics,
                "drop_tokens": unit.drop_tokens,
                "dtype": self.placement.dtype,
                "device": self.placement.device,
                "versions": [metadata.version(name) for name in ("rankscope", "torch", "transformers")],
            }
        )

    def unit_key(self, model: ModelDescription, unit: Unit, plan: Plan) -> UnitKey:
        """All that a unit's numbers depend on, but for versions, which each session records."""
        compared = (
            self.baselines[self.models.index(model)].fingerprint if self.baselines and unit.seed is not None else None
        )
        everything = {
            "model": model.fingerprint,
            "baseline": compared,
            "twin": None if unit.seed is None else self._twin_configuration(model),
            "unit": asdict(unit),
            "settings": self.settings.identity,
            "device": self.placement.device,
            "tokens": plan.fingerprint,
        }
        return UnitKey(plan.fingerprint, key_of(everything))

    def units(self, model: ModelDescription) -> Iterator[tuple[Unit, TextSet]]:
        """The units of one model: for each role and seed, each data set. Without a known initialiser, no twins."""
        layers = layers_of(model.config, self.settings.layers)
        initializer = self.initializer(model)
        seeds = self.settings.untrained_seeds if initializer is None or initializer.is_known else 0
        for seed in (None, *range(seeds)):
            role = "trained" if seed is None else "untrained"
            for place, texts in enumerate(self.text_sets):
                which = f"{self.models.index(model):02d}-{slug(model.reference.label)}_{place:02d}-{slug(texts.name)}"
                yield (
                    Unit(
                        name=f"{which}_{role}" if seed is None else f"{which}_{role}-{seed}",
                        model=model.reference.text,
                        dataset=texts.name,
                        role=role,
                        seed=seed,
                        layers=layers,
                        metrics=self.settings.metric_names,
                        reseed=self.settings.protocol == "paper",
                        drop_tokens=self.settings.drop_tokens,
                    ),
                    texts,
                )

    @property
    def label(self) -> str:
        """A name for the run's folder."""
        names = [*(model.reference.label for model in self.models), *(texts.name for texts in self.text_sets)]
        return "_".join(slug(name) for name in names)[:120]


def prepare(models: Sequence[str], data: Sequence[str], settings: Settings) -> Job:
    """Resolves references, loads configurations, tokenizers and texts; no weights.

    Raises:
        CallError: whatever is wrong with the call.
    """
    (job,) = prepare_each(models, data, [settings])
    return job


def prepare_each(models: Sequence[str], data: Sequence[str], conditions: Sequence[Settings]) -> list[Job]:
    """A job for each condition; models are looked up once for all of them.

    Raises:
        CallError: whatever is wrong with the call.
    """
    if not models or not data:
        raise SettingsError("an evaluation needs at least one model and one data set (--data)")
    refuse_twice("model", models)
    if len({tuple(getattr(settings, name) for name in _SAME_NETWORK) for settings in conditions}) > 1:
        raise SettingsError(f"conditions of one evaluation share their networks: {', '.join(_SAME_NETWORK)} must agree")
    shared = conditions[0]
    placement = Placement(shared.dtype, resolve_device(shared.device))
    parsed = [parse_model_reference(model) for model in models]
    references = [_references(data, settings) for settings in conditions]
    refuse_twice("data set", [reference.name for reference in references[0]])
    descriptions = tuple(describe_model(one, trust_remote_code=shared.trust_remote_code) for one in parsed)
    for settings in conditions:
        for description in descriptions:
            layers_of(description.config, settings.layers)
            _check_texts_of(settings, description)
    baselines = tuple(_baseline(one, shared) for one in descriptions) if shared.untrained_from else ()
    outlines = [outline_of(one) for one in descriptions]
    dropouts = tuple(map(dropout_of, outlines))
    jobs = []
    for of_one, settings in zip(references, conditions, strict=True):
        texts = tuple(_texts(reference, settings) for reference in of_one)
        initializers = _initializers(descriptions, outlines, settings)
        jobs.append(Job(descriptions, texts, settings, placement, baselines, dropouts, initializers))
    return jobs


def refuse_twice(what: str, names: Sequence[str]) -> None:
    """Results tell models and data sets apart by their names.

    Raises:
        SettingsError: two have the same.
    """
    if len(set(names)) < len(names):
        raise SettingsError(
            f"the same {what} is given twice in {', '.join(names)}: give each once, and rename files of one name"
        )


def _check_texts_of(settings: Settings, model: ModelDescription) -> None:
    """Refuses what a model, or its tokenizer, cannot do with texts."""
    if settings.chat:
        check_chat_template(model.tokenizer, model.reference.text)
    if settings.window is None:
        return
    if settings.window > (model.positions or settings.window):
        raise SettingsError(
            f"window is {settings.window} tokens, and {model.reference.text} has {model.positions} positions: give a "
            "shorter one"
        )
    special_tokens_of_windows(model.tokenizer, settings.window, special_tokens=settings.special_tokens)


def _references(data: Sequence[str], settings: Settings) -> list[DataReference]:
    if settings.drop_tokens is not None:
        parse_drop_rule(settings.drop_tokens)
    return [
        parse_data_reference(one, settings.field, settings.template, settings.split, chat=settings.chat) for one in data
    ]


def _texts(reference: DataReference, settings: Settings) -> TextSet:
    texts = load_texts(
        reference, limit=settings.limit, sample_seed=settings.sample_seed, on_bad_row=settings.on_bad_row
    )
    return changed_texts(texts, settings.prefix, settings.perturbation)


def _baseline(model: ModelDescription, settings: Settings) -> ModelDescription:
    given = str(settings.untrained_from)
    text = model.reference.text.partition("@")[0] + given if given.startswith("@") else given
    baseline = describe_model(parse_model_reference(text), trust_remote_code=settings.trust_remote_code)
    check_same_shape(model, baseline)
    return baseline


def _model_identity(model: ModelDescription) -> dict[str, Any]:
    return model_entry(model.reference.text, model.revision, model.parts)


def _initializers(
    models: Sequence[ModelDescription], outlines: Sequence[PreTrainedModel], settings: Settings
) -> tuple[Initializer, ...]:
    """For each model; nothing where no untrained twin is drawn."""
    if settings.protocol not in ("default", "paper") or not settings.untrained_seeds:
        return ()
    given = settings.config_from, settings.initializer_range
    return tuple(choose_initializer(*each, *given) for each in zip(models, outlines, strict=True))


def slug(name: str) -> str:
    """A name that can be part of a file's."""
    return re.sub(r"[^A-Za-z0-9.-]+", "-", name).strip("-.") or "unnamed"
