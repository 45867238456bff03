"""A model of a run, with all that its untrained twins, or what stands in for them, are made of."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from rankscope.models import TRANSFORMERS, Backend, model_family, plain_config
from rankscope.models.read_ahead import files_of, read_ahead
from rankscope.runs.identity import model_entry

if TYPE_CHECKING:
    from transformers import PretrainedConfig

    from rankscope.models import Initializer, LoadedNetwork, ModelDescription, Placement
    from rankscope.settings import Protocol

# Written in a configuration, but no part of the untrained network.
_NOT_THE_TWINS = ("dtype", "quantization_config", "architectures")


@dataclass(frozen=True)
class Subject:
    """One model of a run.

    Attributes:
        model: all of it but the weights.
        place: among the models of the call.
        dropout: the largest that it applies in train mode.
        baseline: the checkpoint that stands in for its twin, under protocol `revision`.
        initializer: how its untrained twin is initialised, under protocols `default` and `paper`.
        backend: where its networks come from.
        parameters: their number; 0 if they were not counted.
    """

    model: ModelDescription
    place: int
    dropout: float = 0.0
    baseline: ModelDescription | None = None
    initializer: Initializer | None = None
    backend: Backend = TRANSFORMERS
    parameters: int = 0

    @property
    def name(self) -> str:
        """The model reference as it was given."""
        return self.model.reference.text

    @property
    def has_twins(self) -> bool:
        """Whether a twin can be built: not if its initialisation is unknown."""
        return self.initializer is None or self.initializer.is_known

    @property
    def initializer_record(self) -> dict[str, Any]:
        """For manifest and summary: the initialiser's range, where it comes from, and all values."""
        if self.initializer is None:
            return {}
        return {
            "initializer_range": self.initializer.range,
            "initializer_source": self.initializer.source,
            "initializer": dict(self.initializer.values),
        }

    @property
    def identity(self) -> dict[str, Any]:
        """What a manifest keeps of the model."""
        entry = model_entry(self.name, self.model.revision, self.model.parts)
        size = {"family": model_family(self.model), "parameters": self.parameters}
        return entry | size | {"dropout": self.dropout} | self.initializer_record

    @property
    def baseline_identity(self) -> dict[str, Any] | None:
        """What a manifest keeps of the checkpoint that stands in for the twin."""
        one = self.baseline
        return None if one is None else model_entry(one.reference.text, one.revision, one.parts)

    def load(self, seed: int | None, protocol: Protocol, placement: Placement) -> LoadedNetwork:
        """The trained network, or with a seed what it is compared with under a protocol.

        Raises:
            ModelError: no weights, or weights that do not fit.
        """
        placement = self.placed(placement)
        if seed is None:
            return self.backend.load(self.model, placement)
        if self.baseline is not None:
            return self.backend.load(self.baseline, placement)
        if protocol == "permuted":
            return self.backend.permuted(self.model, seed, placement)
        twin = replace(self.model, config=self._config_of_twin)
        return self.backend.untrained(twin, seed, placement, train_mode=protocol == "paper")

    def read_ahead(self) -> None:
        """Starts reading the weight files of the trained network.

        Raises:
            ModelError: files are missing.
        """
        read_ahead(files_of(self.model.reference))

    def placed(self, placement: Placement) -> Placement:
        """Where its networks run: all in the dtype of the trained one."""
        return placement.of(self.model.config)

    def size(self, placement: Placement) -> int:
        """Of the weights, in bytes."""
        return self.parameters * self.placed(placement).torch_dtype.itemsize

    @property
    def twin_configuration(self) -> dict[str, Any]:
        """The twin's configuration as JSON, without what an untrained network's numbers do not depend on."""
        config = plain_config(self._config_of_twin)
        return {name: value for name, value in config.items() if name not in _NOT_THE_TWINS}

    def twin_weights(self, protocol: Protocol) -> str | None:
        """A digest of the weights that a twin is made of; None for random ones."""
        if self.baseline is not None:
            return self.baseline.parts.network_digest
        return self.model.parts.network_digest if protocol == "permuted" else None

    @property
    def _config_of_twin(self) -> PretrainedConfig:
        return self.model.config if self.initializer is None else self.initializer.config
