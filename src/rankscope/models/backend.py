"""What measuring needs of a network, whichever library it comes from."""

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
        """Of the forward pass."""

    @property
    def device(self) -> torch.device:
        """Where token ids go."""

    @property
    def reading(self) -> Reading:
        """How it reads texts, as far as readers of its numbers should know."""

    def fitted_to(self, name: str, batches: Iterable[Sequence[Sequence[int]]]) -> LoadedNetwork:
        """The same network, checked against the token ids of all batches before the first of them runs.

        Batches come one after the other, and only once: there may be millions of texts in them.

        Raises:
            ModelError: a token id without a row in the embedding; the message begins with `name`.
        """

    def parts(self, lengths: tuple[int, ...]) -> list[list[int]]:
        """The texts of a batch, by their places, that can run in one forward pass."""

    def run(self, batch: Batch, layers: tuple[str, ...], on_layer: OnLayer, *, loss: bool) -> Tensor | None:
        """Runs one of the `parts`: calls `on_layer` once for each layer, in order of depth.

        Returns:
            Each text's mean loss in nats per token, (texts,), on the device; None where it is not wanted or not
            defined. Nothing is computed beyond the deepest layer and the loss that were asked for.

        Raises:
            ForwardPassError: the network fails, or a layer's states are not those of the batch's tokens.
        """


class Backend(Protocol):
    """Where networks come from."""

    def describe(self, reference: str, *, trust_remote_code: bool = False) -> ModelDescription:
        """All of a model but its weights.

        Raises:
            ModelError: no such model, or one that cannot be read.
        """

    def load(self, model: ModelDescription, placement: Placement) -> LoadedNetwork:
        """The trained network, in eval mode.

        Raises:
            ModelError: no weights, or weights that do not fit.
        """

    def untrained(
        self, model: ModelDescription, seed: int, placement: Placement, *, train_mode: bool = False
    ) -> LoadedNetwork:
        """A network of the same configuration with random weights; the same seed gives the same one."""

    def permuted(self, model: ModelDescription, seed: int, placement: Placement) -> LoadedNetwork:
        """The trained network with the numbers of each weight tensor shuffled.

        Raises:
            ModelError: as `load`.
        """
