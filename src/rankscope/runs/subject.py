"""A model of a run, with everything needed to build its untrained twins or their substitutes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from rankscope.models import TRANSFORMERS, Backend, model_family, plain_config
from rankscope.runs.identity import model_entry

if TYPE_CHECKING:
    from transformers import PretrainedConfig

    from rankscope.models import Initializer, LoadedNetwork, ModelDescription, Placement
    from rankscope.settings import Protocol

# Configuration entries that do not affect the untrained network.
_NOT_THE_TWINS = ("dtype", "quantization_config", "architectures")


@dataclass(frozen=True)
class Subject:
    """One model of a run.

    Attributes:
        model: Description of the model, without weights.
        place: Index among the models of the call.
        dropout: The largest dropout probability applied in train mode.
        baseline: The checkpoint used instead of an untrained twin, under protocol `revision`.
        initializer: Initialisation of the untrained twin, under protocols `default` and `paper`.
        backend: Source of networks.
        parameters: Number of parameters; 0 if they were not counted.
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
        """The model reference as given by the user."""
        return self.model.reference.text

    @property
    def has_twins(self) -> bool:
        """Whether a twin can be built, which requires a known initialisation."""
        return self.initializer is None or self.initializer.is_known

    @property
    def initializer_record(self) -> dict[str, Any]:
        """Entries for manifest and summary: the initialiser's range, the source of that range, and all values."""
        if self.initializer is None:
            return {}
        return {
            "initializer_range": self.initializer.range,
            "initializer_source": self.initializer.source,
            "initializer": dict(self.initializer.values),
        }

    @property
    def identity(self) -> dict[str, Any]:
        """The model's entry in the manifest."""
        entry = model_entry(self.name, self.model.revision, self.model.parts)
        size = {"family": model_family(self.model), "parameters": self.parameters}
        return entry | size | {"dropout": self.dropout} | self.initializer_record

    @property
    def baseline_identity(self) -> dict[str, Any] | None:
        """The manifest entry of the checkpoint used instead of a twin; None without one."""
        one = self.baseline
        return None if one is None else model_entry(one.reference.text, one.revision, one.parts)

    def load(self, seed: int | None, protocol: Protocol, placement: Placement) -> LoadedNetwork:
        """Loads the trained network if `seed` is None, else the baseline that the protocol compares it with.

        Raises:
            ModelError: the weights are missing or do not fit the configuration.
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

    def placed(self, placement: Placement) -> Placement:
        """Placement of the model's networks; all use the dtype of the trained one."""
        return placement.of(self.model.config)

    def size(self, placement: Placement) -> int:
        """Size of the weights in bytes."""
        return self.parameters * self.placed(placement).torch_dtype.itemsize

    @property
    def twin_configuration(self) -> dict[str, Any]:
        """The twin's configuration as JSON, without entries that do not affect an untrained network's numbers."""
        config = plain_config(self._config_of_twin)
        return {name: value for name, value in config.items() if name not in _NOT_THE_TWINS}

    def twin_weights(self, protocol: Protocol) -> str | None:
        """Digest of the weights from which a twin is made; None if they are random."""
        if self.baseline is not None:
            return self.baseline.parts.network_digest
        return self.model.parts.network_digest if protocol == "permuted" else None

    @property
    def _config_of_twin(self) -> PretrainedConfig:
        return self.model.config if self.initializer is None else self.initializer.config
