"""The job of an evaluation: its call, resolved and checked before anything is measured or written."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from functools import partial
from importlib import metadata
from typing import TYPE_CHECKING, Any

from rankscope.errors import SettingsError
from rankscope.measuring import Layout, Plan, TextTask, choose_layers, plan_batches
from rankscope.runs.identity import UnitKey
from rankscope.runs.twin_cache import key_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rankscope.models import ModelDescription, Placement
    from rankscope.runs.progress import Progress
    from rankscope.runs.subject import Subject
    from rankscope.settings import Settings
    from rankscope.texts import TextSet

_BATCH_TOKENS = {"cpu": 1024}
_BATCH_TOKENS_ELSEWHERE = 16384
_MANY_TEXTS = 20_000
"""The number of texts from which progress of tokenization is shown; tokenizing this many takes about four seconds."""


@dataclass(frozen=True)
class Job:
    """Models, texts and settings of a run, resolved and checked.

    Attributes:
        subjects: The models to measure, with the sources of their twins.
        text_sets: The texts to measure them on.
        settings: The settings as given.
        placement: Dtype, which may be `auto`, and device.
    """

    subjects: tuple[Subject, ...]
    text_sets: tuple[TextSet, ...]
    settings: Settings
    placement: Placement

    @property
    def identity(self) -> dict[str, Any]:
        """The run's identity: two runs are the same if their identities are equal."""
        dtypes = dict.fromkeys(subject.placed(self.placement).dtype for subject in self.subjects)
        settings = {
            "device": self.placement.device,
            "batch_tokens": self.batch_tokens,
            "dtype": ", ".join(dtypes),
        }
        identity: dict[str, Any] = {
            "settings": self.settings.identity | settings,
            "models": [subject.identity for subject in self.subjects],
            "data": [{"name": texts.name, "fingerprint": texts.fingerprint} for texts in self.text_sets],
        }
        baselines = [entry for subject in self.subjects if (entry := subject.baseline_identity)]
        return identity | ({"baselines": baselines} if baselines else {})

    @property
    def batch_tokens(self) -> int | None:
        """Tokens in a batch; None for one text at a time."""
        if self.settings.protocol == "paper":
            return None
        return self.settings.batch_tokens or _BATCH_TOKENS.get(self.placement.device, _BATCH_TOKENS_ELSEWHERE)

    @property
    def label(self) -> str:
        """A name for the run's folder, of at most 120 characters."""
        models = (subject.model.reference.label for subject in self.subjects)
        return "_".join(slug(name) for name in (*models, *(texts.name for texts in self.text_sets)))[:120]

    @property
    def unit_names(self) -> list[str]:
        """Names of all units, ordered by model, then network, then data set; known before texts are tokenized."""
        return [
            self._unit_name(subject, place, seed)
            for subject in self.subjects
            for seed in self.seeds(subject)
            for place in range(len(self.text_sets))
        ]

    def seeds(self, subject: Subject) -> tuple[int | None, ...]:
        """Seeds of a model's networks; None is the trained one. Without a known initialiser, there are no twins."""
        return (None, *range(self.settings.untrained_seeds if subject.has_twins else 0))

    def _unit_name(self, subject: Subject, place: int, seed: int | None) -> str:
        model, data = slug(subject.model.reference.label), slug(self.text_sets[place].name)
        role = "trained" if seed is None else f"untrained-{seed}"
        return f"{subject.place:02d}-{model}_{place:02d}-{data}_{role}"

    def layout(self, model: ModelDescription) -> Layout:
        """The rules for dividing texts into batches for a model."""
        return Layout.of(self.settings, model.positions, self.batch_tokens)

    def plan(self, model: ModelDescription, texts: TextSet, progress: Progress | None = None) -> Plan:
        """The batches of one model on one set of texts; progress is reported if there are many texts."""
        if progress is None or len(texts.texts) < _MANY_TEXTS:
            return plan_batches(texts, model.tokenizer, self.layout(model))
        progress.start(f"{model.reference.label} on {texts.name}, tokens", len(texts.texts), "texts")
        told = partial(progress.advance, computed=True)
        return plan_batches(texts, model.tokenizer, self.layout(model), told)

    def parts(self, subject: Subject, plans: Sequence[Plan]) -> Iterator[Part]:
        """Yields the parts of a run that belong to one model: for each role and seed, each data set.

        Args:
            subject: The model.
            plans: The model's plan for each text set.
        """
        model, settings = subject.model, self.settings
        layers = choose_layers(model.config, settings)
        for seed in self.seeds(subject):
            role = "trained" if seed is None else "untrained"
            for place, (texts, plan) in enumerate(zip(self.text_sets, plans, strict=True)):
                task = TextTask(
                    model=subject.name,
                    dataset=texts.name,
                    role=role,
                    seed=seed,
                    layers=layers,
                    metrics=settings.metric_names,
                    reseed=settings.protocol == "paper",
                    drop_tokens=settings.drop_tokens,
                    pool=settings.pool,
                    spectra_dtype=settings.spectra_dtype,
                )
                yield Part(self, subject, self._unit_name(subject, place, seed), task, plan)


@dataclass(frozen=True)
class Part:
    """One network on one set of texts.

    Attributes:
        job: The job that it belongs to.
        subject: The model.
        name: Name of its unit and file.
        task: What to measure.
        plan: The token ids.
    """

    job: Job
    subject: Subject
    name: str
    task: TextTask
    plan: Plan

    @property
    def label(self) -> str:
        """Name in progress messages."""
        of_twin = "" if self.task.seed is None else f", twin {self.task.seed}"
        return f"{self.subject.model.reference.label} on {self.task.dataset}{of_twin}"

    @property
    def key(self) -> UnitKey:
        """Digests of everything that determines its numbers, except versions, which each session records."""
        of_twin, baseline = self.task.seed is not None, self.subject.baseline
        everything = {
            "model": self.subject.model.fingerprint,
            "baseline": baseline.fingerprint if baseline is not None and of_twin else None,
            "twin": self.subject.twin_configuration if of_twin else None,
            "unit": asdict(self.task),
            "settings": self.job.settings.identity | {"dtype": self.subject.placed(self.job.placement).dtype},
            "device": self.job.placement.device,
            "tokens": self.plan.fingerprint,
        }
        return UnitKey(self.plan.fingerprint, key_of(everything))

    @property
    def twin_key(self) -> str:
        """Cache key of everything that determines a twin's measurements; weights only if the protocol uses them."""
        settings, placement = self.job.settings, self.subject.placed(self.job.placement)
        return key_of(
            {
                "config": self.subject.twin_configuration,
                "code": self.subject.model.parts.code,
                "weights": self.subject.twin_weights(settings.protocol),
                "protocol": settings.protocol,
                "seed": self.task.seed,
                "texts": self.plan.fingerprint,
                "layers": self.task.layers.names,
                "metrics": self.task.metrics,
                "drop_tokens": self.task.drop_tokens,
                "pool": self.task.pool,
                "spectra_dtype": self.task.spectra_dtype,
                "dtype": placement.dtype,
                "device": placement.device,
                "versions": [metadata.version(name) for name in ("rankscope", "torch", "transformers")],
            }
        )


def refuse_twice(what: str, names: Sequence[str]) -> None:
    """Rejects duplicate names, since results identify models and data sets by name.

    Args:
        what: What the names refer to, for the message.
        names: The names.

    Raises:
        SettingsError: a name occurs twice.
    """
    if len(set(names)) < len(names):
        raise SettingsError(
            f"duplicate {what} in {', '.join(names)}: list each once, and rename files with the same name"
        )


def slug(name: str) -> str:
    """A version of a name that is safe in file names."""
    return re.sub(r"[^A-Za-z0-9.-]+", "-", name).strip("-.") or "unnamed"
