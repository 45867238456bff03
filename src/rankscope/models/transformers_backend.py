"""Networks of transformers: checkpoints in all its formats, run through the models' own forward methods."""

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
    """A transformers model after its trial run."""

    network: Network

    @classmethod
    def of(cls, model: PreTrainedModel, *, as_a_whole: bool = False) -> TransformersNetwork:
        """Wraps a model in memory, in its current mode.

        Args:
            model: of transformers.
            as_a_whole: as in `examine`, for sharded parameters.

        Raises:
            ModelError: as for `examine`.
        """
        return cls(examine(model, as_a_whole=as_a_whole))

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of the forward pass."""
        return self.network.dtype

    @property
    def device(self) -> torch.device:
        """The device for token ids."""
        return self.network.device

    @property
    def reading(self) -> Reading:
        """How it reads texts."""
        return Reading.of(self.network)

    def fitted_to(self, name: str, batches: Iterable[Sequence[Sequence[int]]]) -> TransformersNetwork:
        """Checks the largest token id, and padding with the two texts that differ most in length.

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
        """Groups the texts of a batch, by index, into single forward passes."""
        return self.network.parts(lengths)

    def run(self, batch: Batch, layers: tuple[str, ...], on_layer: OnLayer, *, loss: bool) -> Tensor | None:
        """See `forward`."""
        return forward(self.network, batch, layers, on_layer, loss=loss)


@dataclass(frozen=True)
class TransformersBackend:
    """Loads networks through transformers' auto classes."""

    def describe(self, reference: str, *, trust_remote_code: bool = False) -> ModelDescription:
        """See `describe_model`."""
        return describe_model(parse_model_reference(reference), trust_remote_code=trust_remote_code)

    def load(self, model: ModelDescription, placement: Placement) -> TransformersNetwork:
        """The trained network; refused if its files changed while they were read."""
        loaded = load_model(model, placement)
        refuse_changed(model)
        return TransformersNetwork.of(loaded)

    def untrained(
        self, model: ModelDescription, seed: int, placement: Placement, *, train_mode: bool = False
    ) -> TransformersNetwork:
        """See `untrained_twin`."""
        return TransformersNetwork.of(untrained_twin(model, seed, placement, train_mode=train_mode))

    def permuted(self, model: ModelDescription, seed: int, placement: Placement) -> TransformersNetwork:
        """See `permuted_twin`."""
        permuted = permuted_twin(model, seed, placement)
        refuse_changed(model)
        return TransformersNetwork.of(permuted)


TRANSFORMERS = TransformersBackend()
"""The default backend."""
