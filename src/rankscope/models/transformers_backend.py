"""Networks of transformers: checkpoints in any form that it reads, run through the models' own forward methods."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from rankscope.models.fingerprints import refuse_changed
from rankscope.models.forward_pass import forward
from rankscope.models.loading import ModelDescription, describe_model, load_model
from rankscope.models.network import Batch, Network, Reading
from rankscope.models.reference import parse_model_reference
from rankscope.models.token_ids import check_token_ids
from rankscope.models.trial import check_padding, examine
from rankscope.models.twins import permuted_twin, untrained_twin

if TYPE_CHECKING:
    import torch
    from torch import Tensor
    from transformers import PreTrainedModel

    from rankscope.models.backend import OnLayer
    from rankscope.models.placement import Placement


@dataclass(frozen=True)
class TransformersNetwork:
    """A model of transformers that went through its trial run."""

    network: Network

    @classmethod
    def of(cls, model: PreTrainedModel, *, as_a_whole: bool = False) -> TransformersNetwork:
        """A model in memory, in the mode that it is in.

        Args:
            model: of transformers.
            as_a_whole: as in `examine`, for parameters that are divided over processes.

        Raises:
            ModelError: as `examine`.
        """
        return cls(examine(model, as_a_whole=as_a_whole))

    @property
    def dtype(self) -> torch.dtype:
        """Of the forward pass."""
        return self.network.dtype

    @property
    def device(self) -> torch.device:
        """Where token ids go."""
        return self.network.device

    @property
    def reading(self) -> Reading:
        """How it reads texts."""
        return Reading.of(self.network)

    def fitted_to(self, name: str, batches: Iterable[Sequence[Sequence[int]]]) -> TransformersNetwork:
        """Checks the largest token id, and padding on the two texts that differ most in length.

        Raises:
            ModelError: a token id without a row in the embedding.
        """
        largest, padding = 0, 0
        pair: tuple[Sequence[int], Sequence[int]] | None = None
        for batch in batches:
            largest = max(largest, *map(max, batch))
            for part in self.parts(tuple(map(len, batch))):
                longer, shorter = batch[part[0]], batch[part[-1]]
                if len(longer) - len(shorter) > padding:
                    padding, pair = len(longer) - len(shorter), (longer, shorter)
        check_token_ids(name, largest, self.network.model)
        return self if pair is None else replace(self, network=check_padding(self.network, *pair))

    def parts(self, lengths: tuple[int, ...]) -> list[list[int]]:
        """The texts of a batch, by their places, that can run in one forward pass."""
        return self.network.parts(lengths)

    def run(self, batch: Batch, layers: tuple[str, ...], on_layer: OnLayer, *, loss: bool) -> Tensor | None:
        """As `forward`."""
        return forward(self.network, batch, layers, on_layer, loss=loss)


@dataclass(frozen=True)
class TransformersBackend:
    """Loads networks through transformers' auto classes."""

    def describe(self, reference: str, *, trust_remote_code: bool = False) -> ModelDescription:
        """As `describe_model`."""
        return describe_model(parse_model_reference(reference), trust_remote_code=trust_remote_code)

    def load(self, model: ModelDescription, placement: Placement) -> TransformersNetwork:
        """The trained network; refused where its files were changed while they were read."""
        loaded = load_model(model, placement)
        refuse_changed(model)
        return TransformersNetwork.of(loaded)

    def untrained(
        self, model: ModelDescription, seed: int, placement: Placement, *, train_mode: bool = False
    ) -> TransformersNetwork:
        """As `untrained_twin`."""
        return TransformersNetwork.of(untrained_twin(model, seed, placement, train_mode=train_mode))

    def permuted(self, model: ModelDescription, seed: int, placement: Placement) -> TransformersNetwork:
        """As `permuted_twin`."""
        permuted = permuted_twin(model, seed, placement)
        refuse_changed(model)
        return TransformersNetwork.of(permuted)


TRANSFORMERS = TransformersBackend()
"""The backend that is used unless another is given."""
