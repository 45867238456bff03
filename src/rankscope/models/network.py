"""A loaded network with the results of its trial run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from rankscope.models.arrangement import Arrangement

if TYPE_CHECKING:
    from collections.abc import Sequence

    from transformers import PreTrainedModel


@dataclass(frozen=True)
class Batch:
    """Texts as token ids, padded at the end.

    Attributes:
        input_ids: (texts, longest), int64.
        lengths: the number of real tokens of each text.
    """

    input_ids: Tensor
    lengths: tuple[int, ...]

    @classmethod
    def of(cls, texts: list[list[int]]) -> Batch:
        """Pads token ids with 0 at the end; the mask, not the id, marks padding."""
        rows = [torch.tensor(ids, dtype=torch.int64) for ids in texts]
        return cls(nn.utils.rnn.pad_sequence(rows, batch_first=True), tuple(len(ids) for ids in texts))

    @property
    def mask(self) -> Tensor:
        """1 for real tokens and 0 for padding, (texts, longest), int64."""
        places = torch.arange(self.input_ids.shape[1])
        return (places[None, :] < torch.tensor(self.lengths)[:, None]).long()

    def select(self, texts: list[int]) -> Batch:
        """Some of the texts, by index, padded to the longest of them."""
        lengths = tuple(self.lengths[text] for text in texts)
        return Batch(self.input_ids[texts, : max(lengths)], lengths)


@dataclass(frozen=True)
class Network:
    """A network, and how it behaves on token ids, as determined by `models.trial.examine`.

    Attributes:
        model: on its device, in the required mode.
        body: the part that runs once per batch, before the head; None if the model only runs as a whole.
        blocks: the blocks in the order in which they run: one that runs twice is listed twice.
        arrangement: of the hidden states between blocks; None if blocks cannot be read.
        fault: why the layers between blocks cannot be read; None if they can.
        causal: whether a token's hidden state depends only on earlier tokens, so that there is a loss.
        padding_fault: how padding changes a text's hidden states, if it does: texts then run one by one.
        in_step: whether other processes run the same passes, because parameters are sharded over them: then every pass
            runs to its end, whatever is requested and whatever fails.
        regimes: positions above which the architecture computes differently (LongRoPE); batches do not mix them.
    """

    model: PreTrainedModel
    body: nn.Module | None
    blocks: tuple[nn.Module, ...] = ()
    arrangement: Arrangement | None = None
    fault: str | None = None
    causal: bool = True
    padding_fault: str | None = None
    in_step: bool = False
    regimes: tuple[int, ...] = field(default=())

    @property
    def name(self) -> str:
        """The name of the model's class."""
        return type(self.model).__name__

    @property
    def streams(self) -> bool:
        """Whether blocks pass on several streams per token."""
        return self.arrangement in (Arrangement.STREAMS_FIRST, Arrangement.STREAMS_INSIDE)

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of the forward pass."""
        dtype: torch.dtype = self.model.dtype
        return dtype

    @property
    def device(self) -> torch.device:
        """The device for token ids."""
        device: torch.device = next(self.model.parameters()).device
        return device

    def parts(self, lengths: tuple[int, ...]) -> list[list[int]]:
        """Groups the texts of a batch, by index, into single forward passes."""
        if self.body is None or self.padding_fault is not None:
            return [[text] for text in range(len(lengths))]
        return by_regime(lengths, self.regimes)


def by_regime(lengths: Sequence[int], regimes: Sequence[int]) -> list[list[int]]:
    """Groups the texts of a batch, by index, so that each group is computed in the same way by the architecture."""
    groups: dict[int, list[int]] = {}
    for text, length in enumerate(lengths):
        groups.setdefault(sum(length > regime for regime in regimes), []).append(text)
    return list(groups.values())


@dataclass(frozen=True)
class Reading:
    """How a network reads texts, as far as this affects the interpretation of its numbers.

    Attributes:
        causal: whether it predicts the next token; if not, it has no loss.
        padding_fault: why its texts ran one by one; None if they ran in batches.
        streams: whether hidden states between blocks are means over parallel streams.
    """

    causal: bool = True
    padding_fault: str | None = None
    streams: bool = False

    @classmethod
    def of(cls, network: Network) -> Reading:
        """The reading of a network."""
        return cls(network.causal, network.padding_fault, network.streams)
