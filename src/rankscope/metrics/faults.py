"""What keeps texts from having unit rows: found by tensors, read when it suits, told in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from rankscope.errors import RepresentationError
from rankscope.metrics.rounding import tolerances

if TYPE_CHECKING:
    from rankscope.metrics.rows import Centred, Texts

FAULTS = ("none", "not finite", "equal rows", "row at the mean")


@dataclass(frozen=True)
class Faults:
    """What keeps texts from having unit rows, as tensors that nobody has looked at yet.

    Attributes:
        columns: for each text: its fault's place in `FAULTS`; whether all states are zero; how many numbers are not
            finite; the place of the first of them (row x d + feature), or the row at the mean; that number.
        tokens: N of each text.
        hidden_size: d.
        dtype: of the states.
    """

    columns: Float[Tensor, "batch 5"]
    tokens: tuple[int, ...]
    hidden_size: int
    dtype: torch.dtype

    @classmethod
    def of(cls, texts: Texts, centred: Centred) -> Faults:
        """The first fault of each text, in the order of `FAULTS`."""
        limits, distances, states = tolerances(texts.eps), centred.distances, texts.states.detach()
        at_mean = distances <= limits.one_row
        equal = ((distances <= limits.all_rows) | torch.isinf(distances)).all(dim=1)
        bad = ~torch.isfinite(states)
        bad_row = bad.any(dim=2).int().argmax(dim=1)
        texts_of = torch.arange(len(states), device=states.device)
        bad_feature = bad[texts_of, bad_row].int().argmax(dim=1)
        code = torch.where(at_mean.any(dim=1), 3, 0)
        code = torch.where(equal, 2, code)
        code = torch.where(centred.finite, code, 1)
        place = torch.where(centred.finite, at_mean.int().argmax(dim=1), bad_row * states.shape[2] + bad_feature)
        zero = (centred.sizes == 0).all(dim=1)
        columns = (code, zero, bad.sum(dim=(1, 2)), place, states[texts_of, bad_row, bad_feature])
        kind = torch.float32 if states.device.type == "mps" else torch.float64
        found = torch.stack([one.to(kind) for one in columns], dim=1)
        return cls(found, texts.tokens, states.shape[2], states.dtype)

    def error(self, place: int, columns: Sequence[float]) -> RepresentationError | None:
        """The fault of a text; None where it has none.

        Args:
            place: of the text among those that were examined.
            columns: its row of `columns`, as numbers.
        """
        fault, count = FAULTS[int(columns[0])], self.tokens[place]
        if fault == "none":
            return None
        if fault == "not finite":
            where = ("token", *divmod(int(columns[3]), self.hidden_size))
            numbers = count * self.hidden_size
            return RepresentationError(fault, non_finite(int(columns[2]), numbers, self.dtype, columns[4], where))
        if fault == "equal rows":
            return RepresentationError(
                fault,
                f"all {count} rows are equal up to rounding, so their covariance is zero and has no spectrum: "
                "a text of one repeated token, or a layer that returns a constant",
            )
        return RepresentationError(
            fault,
            f"row {int(columns[3])} of {count} equals the mean of all rows up to rounding, so it has no "
            "direction to normalise (0/0): leave the text out, or the token",
        )


def non_finite(bad: int, numbers: int, dtype: torch.dtype, first: float, place: tuple[str, int, int]) -> str:
    """What a message says of hidden states with NaN or infinity.

    Args:
        bad: how many values are not finite.
        numbers: how many values there are.
        dtype: of the states.
        first: the first of the bad values.
        place: what a row is called, the number of the row, and of the feature.
    """
    row, index, feature = place
    return (
        f"hidden states must be finite, got {bad} values that are not among {numbers} of dtype {dtype}, the first "
        f"{first} at {row} {index}, feature {feature}: try float32 or bfloat16, or check the weights"
    )


def describe_non_finite(hidden: Tensor, *, row: str = "token") -> str:
    """What a message says of hidden states with NaN or infinity: how many, and where the first is."""
    bad = ~torch.isfinite(hidden)
    index, feature = (int(place) for place in bad.nonzero()[0])
    first = float(hidden[index, feature])
    return non_finite(int(bad.sum()), hidden.numel(), hidden.dtype, first, (row, index, feature))
