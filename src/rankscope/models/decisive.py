"""The few texts that determine how a network reads all of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from rankscope.models.network import by_regime
from rankscope.models.positions import regimes_of

if TYPE_CHECKING:
    from transformers import PretrainedConfig

Tokens = Sequence[int]


def decisive_texts(config: PretrainedConfig, batches: Iterable[Sequence[Tokens]]) -> list[list[Tokens]]:
    """Batches for which `fitted_to` has the same result as for all of the given ones.

    These are the two texts that differ most in length within a forward pass, and the text with the largest token id.
    With them, a worker that has only some of the texts reads them in the same way as a process that has all.

    Args:
        config: of the network.
        batches: the token ids of each text of each batch.
    """
    regimes = regimes_of(config)
    padding, largest = 0, -1
    padded: list[Tokens] = []
    rare: list[Tokens] = []
    for batch in batches:
        for part in by_regime([len(tokens) for tokens in batch], regimes):
            longer, shorter = batch[part[0]], batch[part[-1]]
            if len(longer) - len(shorter) > padding:
                padding, padded = len(longer) - len(shorter), [longer, shorter]
        for tokens in batch:
            if max(tokens) > largest:
                largest, rare = max(tokens), [tokens]
    return [texts for texts in (padded, rare) if texts]
