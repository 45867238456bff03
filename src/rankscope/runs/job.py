"""What a call asks for, worked out before anything is measured or written."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rankscope.errors import SettingsError
from rankscope.models import (
    Placement,
    count_blocks,
    describe_model,
    parse_model_reference,
    resolve_device,
    resolve_layers,
)
from rankscope.runs.loop import Unit
from rankscope.runs.plan import Plan, plan_batches
from rankscope.texts import load_texts, parse_data_reference

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rankscope.models import ModelDescription
    from rankscope.settings import Settings
    from rankscope.texts import TextSet

_BATCH_TOKENS = {"cpu": 1024}
_BATCH_TOKENS_ELSEWHERE = 16384


@dataclass(frozen=True)
class Job:
    """Models, texts and settings of a run, resolved and checked."""

    models: tuple[ModelDescription, ...]
    text_sets: tuple[TextSet, ...]
    settings: Settings
    placement: Placement

    @property
    def identity(self) -> dict[str, Any]:
        """What makes two runs the same: any difference means other numbers."""
        settings = {name: getattr(self.settings, name) for name in self.settings.names()}
        settings |= {"device": self.placement.device, "batch_tokens": self.batch_tokens}
        return {
            "settings": settings,
            "models": [
                {"reference": model.reference.text, "revision": model.revision, "fingerprint": model.fingerprint}
                for model in self.models
            ],
            "data": [{"name": texts.name, "fingerprint": texts.fingerprint} for texts in self.text_sets],
        }

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
        return plan_batches(texts, model.tokenizer, self.max_length(model), self.batch_tokens)

    def units(self, model: ModelDescription) -> Iterator[tuple[Unit, TextSet]]:
        """The units of one model: for each role and seed, each data set."""
        layers = resolve_layers(self.settings.layers, count_blocks(model.config))
        for seed in (None, *range(self.settings.untrained_seeds)):
            role = "trained" if seed is None else "untrained"
            for place, texts in enumerate(self.text_sets):
                which = f"{self.models.index(model):02d}-{_slug(model.reference.label)}_{place:02d}-{_slug(texts.name)}"
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
                    ),
                    texts,
                )

    @property
    def label(self) -> str:
        """A name for the run's folder."""
        names = [*(model.reference.label for model in self.models), *(texts.name for texts in self.text_sets)]
        return "_".join(_slug(name) for name in names)[:120]


def prepare(models: Sequence[str], data: Sequence[str], settings: Settings) -> Job:
    """Resolves references, loads configurations, tokenizers and texts; no weights.

    Raises:
        CallError: whatever is wrong with the call.
    """
    if not models or not data:
        raise SettingsError("an evaluation needs at least one model and one data set (--data)")
    for what, names in (("model", models), ("data set", data)):
        if len(set(names)) < len(names):
            raise SettingsError(f"the same {what} is given twice in {', '.join(names)}: give each once")
    placement = Placement(settings.dtype, resolve_device(settings.device))
    parsed = [parse_model_reference(model) for model in models]
    references = [parse_data_reference(one, settings.field, settings.template, settings.split) for one in data]
    descriptions = [describe_model(one, trust_remote_code=settings.trust_remote_code) for one in parsed]
    for description in descriptions:
        resolve_layers(settings.layers, count_blocks(description.config))
    text_sets = [load_texts(one, limit=settings.limit, sample_seed=settings.sample_seed) for one in references]
    return Job(tuple(descriptions), tuple(text_sets), settings, placement)


def _slug(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9.-]+", "-", name).strip("-.") or "unnamed"
