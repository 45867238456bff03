"""How an architecture arranges the hidden states of a batch, and how to separate them by text."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor


class Arrangement(Enum):
    """The axes of a tensor of hidden states.

    Some architectures carry several parallel residual streams (AltUp, hyper-connections). A token's hidden state is
    then their mean: the network itself reads them as a weighted sum.
    """

    TEXTS_FIRST = "texts, tokens, hidden"
    TOKENS_FIRST = "tokens, texts, hidden"
    STREAMS_INSIDE = "texts, tokens, streams, hidden"
    STREAMS_FIRST = "streams, texts, tokens, hidden"

    def holds(self, states: Tensor, texts: int, tokens: int) -> bool:
        """Whether a tensor has a hidden state for each of `tokens` tokens of `texts` texts."""
        return states.dim() == len(self.value.split(",")) and tuple(
            states.shape[self.value.split(", ").index(axis)] for axis in ("texts", "tokens")
        ) == (texts, tokens)

    def of_texts(self, states: Tensor, lengths: Sequence[int]) -> list[Tensor]:
        """The states of each text, (tokens, hidden), without its padding."""
        if self is Arrangement.TOKENS_FIRST:
            return [states[:length, text] for text, length in enumerate(lengths)]
        if self is Arrangement.STREAMS_FIRST:
            states = states.mean(dim=0)
        if self is Arrangement.STREAMS_INSIDE:
            states = states.mean(dim=2)
        return [states[text, :length] for text, length in enumerate(lengths)]


def arrangement_of(states: Tensor, texts: int, tokens: int) -> Arrangement | None:
    """The arrangement that fits a tensor; None if there is no state for every token.

    The numbers of texts and tokens must differ, so that the axes can be distinguished.
    """
    return next((one for one in Arrangement if one.holds(states, texts, tokens)), None)
