"""Measures one network, unchanged or under one change at a time, and stores the measurements."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import polars as pl

from rankscope.atomic import write_bytes
from rankscope.errors import DataError, ModelError
from rankscope.measuring import Layers, TextTask, measure_batches, text_columns
from rankscope.models import (
    LoadedNetwork,
    ModelDescription,
    Network,
    Rounding,
    TransformersNetwork,
    count_blocks,
    load_model,
    refuse_changed,
    rounded_weights,
    without_blocks,
)
from rankscope.runs import key_of
from rankscope.runs.job import slug
from rankscope.runs.parquet import from_parquet, to_parquet
from rankscope.runs.session import versions

if TYPE_CHECKING:
    from pathlib import Path

    from transformers import PreTrainedModel

    from rankscope.measuring import Plan
    from rankscope.runs import Job, Progress
    from rankscope.texts import TextSet

EVERY_NTH_RANKS = 3
"""Every third text ranks blocks; losses are compared on the others."""
_FEWEST_JUDGED = 3
_LONGEST_NAME = 80


@dataclass(frozen=True)
class Change:
    """A change of a network before it is measured.

    Attributes:
        name: Name for messages and files.
        identity: The complete definition of the change; part of the key of stored measurements.
        applied: Returns a context in which the network is changed.
    """

    name: str
    identity: Mapping[str, object]
    applied: Callable[[PreTrainedModel], AbstractContextManager[PreTrainedModel]]


AS_IT_IS = Change("as it is", {}, nullcontext)


def removal(blocks: Collection[int]) -> Change:
    """The removal of blocks, given in any order."""
    numbers = sorted(blocks)
    return Change(
        f"without {', '.join(map(str, numbers))}", {"removed": numbers}, lambda model: without_blocks(model, numbers)
    )


def rounding(one: Rounding) -> Change:
    """The rounding of the weights of the blocks' linear layers."""
    return Change(f"{one.bits} bits {one.scheme}", {"rounding": asdict(one)}, lambda model: rounded_weights(model, one))


@dataclass(frozen=True)
class Question:
    """The texts to read and the metrics to measure.

    Attributes:
        plan: The token ids.
        layers: The layers to measure, and which of them to compare.
        metrics: Names of metrics.
    """

    plan: Plan
    layers: Layers
    metrics: tuple[str, ...]


class Workbench:
    """One model on one data set. The network is loaded only when something must be computed.

    Args:
        job: A job with one model.
        texts: One of its data sets.
        folder: Folder for measurements.
        progress: Receives progress.

    Attributes:
        model: The model without its weights.
        texts: All texts.
        blocks: The number of blocks.
        ranking: The texts for ranking blocks.
        judged: The texts for comparing networks.
        whole: The texts for both.
    """

    def __init__(self, job: Job, texts: TextSet, folder: Path, progress: Progress) -> None:
        (subject,) = job.subjects
        self.name, self.model = subject.name, subject.model
        self.texts, self.progress, self.parameters = texts, progress, subject.parameters
        self._placement = subject.placed(job.placement)
        self._folder, self._settings = folder, job.settings
        self._loaded: PreTrainedModel | None = None
        self.blocks = count_blocks(subject.model.config)
        self.whole = job.plan(subject.model, texts)
        self.ranking, self.judged = (job.plan(subject.model, part) for part in parted(texts))
        if len(self.judged.batches.indices) < _FEWEST_JUDGED or not self.ranking.tokens:
            raise DataError(
                f"{texts.name} has {len(self.whole.batches.indices)} texts that {self.name} can read, which is too "
                f"few: one in {EVERY_NTH_RANKS} ranks blocks, and the comparison needs at least {_FEWEST_JUDGED} others"
            )

    def measured(self, change: Change, question: Question) -> pl.DataFrame:
        """One row per measured text and layer, in the order of the texts."""
        task = TextTask(
            model=self.name,
            dataset=self.texts.name,
            layers=question.layers,
            metrics=question.metrics,
            spectra_dtype=self._settings.spectra_dtype,
        )

        def measure() -> pl.DataFrame:
            with self.network(change) as network:
                fitted = network.fitted_to(self.name, question.plan.token_ids)
                rows = []
                for _, batch in measure_batches(task, question.plan, fitted):
                    rows += batch
                    self.progress.advance(_tokens(batch), computed=True)
            return pl.DataFrame(rows, schema=text_columns())

        def found() -> None:
            self.progress.advance(question.plan.tokens, computed=False)

        identity = {"change": dict(change.identity), "task": asdict(task), "texts": question.plan.fingerprint}
        kept = self.kept(change.name, identity, measure, found)
        usable = kept.filter(pl.col("status") == "ok")
        return usable.drop("eigenvalues", "pooled").sort("text_index", maintain_order=True)

    def kept(
        self,
        name: str,
        identity: Mapping[str, Any],
        compute: Callable[[], pl.DataFrame],
        found: Callable[[], None] = lambda: None,
    ) -> pl.DataFrame:
        """The stored table of the same weights, versions and identity; computed and stored if missing."""
        key = key_of(
            {
                "model": self.model.fingerprint,
                "dtype": self._placement.dtype,
                "device": self._placement.device,
                "versions": versions(),
                **identity,
            }
        )
        place = self._folder / f"{slug(f'{self.model.reference.label} {name}')[:_LONGEST_NAME]}-{key[:16]}.parquet"
        if place.is_file():
            table = from_parquet(place.read_bytes(), str(place))
            found()
            return table
        table = compute()
        write_bytes(place, to_parquet(table))
        return table

    @contextmanager
    def network(self, change: Change) -> Iterator[LoadedNetwork]:
        """The network under a change; refused if its blocks cannot be read or it has no loss."""
        with change.applied(self.loaded()) as model:
            network = TransformersNetwork.of(model)
            _refuse_unreadable(self.name, network.network)
            yield network

    def loaded(self) -> PreTrainedModel:
        """The unchanged network; loaded once."""
        if self._loaded is None:
            self.progress.say(f"loading {self.name}")
            self._loaded = load_model(self.model, self._placement)
            refuse_changed(self.model)
        return self._loaded

    def release(self) -> None:
        """Frees the network's memory; it is loaded again when needed."""
        self._loaded = None


def parted(texts: TextSet) -> tuple[TextSet, TextSet]:
    """The texts for ranking blocks and those for comparing networks, without overlap."""
    numbered = list(enumerate(texts.texts))
    ranking = [text for place, text in numbered if place % EVERY_NTH_RANKS == 0]
    judged = [text for place, text in numbered if place % EVERY_NTH_RANKS != 0]
    return replace(texts, texts=ranking, skipped=()), replace(texts, texts=judged, skipped=())


def same_tokens(one: Workbench, model: ModelDescription, job: Job) -> bool:
    """Whether another model tokenizes the judged texts identically."""
    return job.plan(model, parted(one.texts)[1]).fingerprint == one.judged.fingerprint


def _refuse_unreadable(name: str, network: Network) -> None:
    if network.fault is not None:
        raise ModelError(f"{network.fault}: {name} cannot be compressed block by block")
    if len(set(network.blocks)) < len(network.blocks):
        raise ModelError(f"{name} runs some of its blocks more than once, so removing blocks is not defined")
    if not network.causal:
        raise ModelError(f"{name} does not predict the next token, so it has no loss to compare")


def _tokens(rows: list[dict[str, Any]]) -> int:
    return sum({row["text_index"]: row["n_tokens"] or 0 for row in rows}.values())
