"""The interface between measuring and networks of any library."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Protocol

from torch import Tensor

if TYPE_CHECKING:
    import torch

    from rankscope.models.loading import ModelDescription
    from rankscope.models.network import Batch, Reading
    from rankscope.models.placement import Placement

OnLayer = Callable[[str, list[Tensor]], None]
"""Called with a layer's name and the hidden states (tokens, d) of each text of the batch."""


class LoadedNetwork(Protocol):
    """A network in memory that reads token ids."""

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of the forward pass."""

    @property
    def device(self) -> torch.device:
        """The device for token ids."""

    @property
    def reading(self) -> Reading:
        """How the network reads texts, as far as this affects the interpretation of its numbers."""

    def fitted_to(self, name: str, batches: Iterable[Sequence[Sequence[int]]]) -> LoadedNetwork:
        """The same network, checked against the token ids of all batches before the first one runs.

        Batches are read one by one and only once: they may hold millions of texts.

        Raises:
            ModelError: a token id without a row in the embedding; the message begins with `name`.
        """

    def parts(self, lengths: tuple[int, ...]) -> list[list[int]]:
        """Groups the texts of a batch, by index, into single forward passes."""

    def run(self, batch: Batch, layers: tuple[str, ...], on_layer: OnLayer, *, loss: bool) -> Tensor | None:
        """Runs one of the `parts`: calls `on_layer` once for each layer, in order of depth.

        Returns:
            Each text's mean loss in nats per token, (texts,), on the device; None if not requested or not defined.
            Nothing is computed beyond the deepest requested layer and the requested loss.

        Raises:
            ForwardPassError: the network fails, or a layer's states do not match the batch's tokens.
        """


class Backend(Protocol):
    """A source of networks."""

    def describe(self, reference: str, *, trust_remote_code: bool = False) -> ModelDescription:
        """Describes a model without loading its weights.

        Raises:
            ModelError: no such model, or it cannot be read.
        """

    def load(self, model: ModelDescription, placement: Placement) -> LoadedNetwork:
        """The trained network, in eval mode.

        Raises:
            ModelError: no weights, or weights that do not fit.
        """

    def untrained(
        self, model: ModelDescription, seed: int, placement: Placement, *, train_mode: bool = False
    ) -> LoadedNetwork:
        """A network with the same configuration and random weights, reproducible by seed."""

    def permuted(self, model: ModelDescription, seed: int, placement: Placement) -> LoadedNetwork:
        """The trained network with the values of each weight tensor shuffled.

        Raises:
            ModelError: as for `load`.
        """
