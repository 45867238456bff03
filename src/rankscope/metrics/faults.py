"""Reasons why texts have no unit rows: detected as tensors, read later, explained in messages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from rankscope.errors import RepresentationError
from rankscope.metrics.rounding import tolerances

if TYPE_CHECKING:
    from rankscope.metrics.rows import Centred, Texts

FAULTS = ("none", "not finite", "equal rows", "row at the mean")


@dataclass(frozen=True)
class Faults:
    """Reasons why texts have no unit rows, as tensors that have not been read yet.

    Attributes:
        columns: for each text: the index of its fault in `FAULTS`; whether all states are zero; the number of
            non-finite values; the position of the first of them (row x d + feature), or the row at the mean; its value.
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

    @property
    def without_covariance(self) -> Bool[Tensor, " batch"]:
        """Whether the rows of a text are not finite or all equal; not read yet."""
        return (self.columns[:, 0] == FAULTS.index("not finite")) | (self.columns[:, 0] == FAULTS.index("equal rows"))

    def error(self, place: int, columns: Sequence[float]) -> RepresentationError | None:
        """The fault of a text; None if it has none.

        Args:
            place: of the text among the examined ones.
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
            "direction to normalise (0/0): exclude the text, or the token",
        )


def non_finite(bad: int, numbers: int, dtype: torch.dtype, first: float, place: tuple[str, int, int]) -> str:
    """The message for hidden states with NaN or infinity.

    Args:
        bad: number of non-finite values.
        numbers: number of all values.
        dtype: of the states.
        first: the first non-finite value.
        place: the name of a row, its number, and the number of the feature.
    """
    row, index, feature = place
    return (
        f"hidden states must be finite, but {bad} of {numbers} values of dtype {dtype} are not, the first is "
        f"{first} at {row} {index}, feature {feature}: try float32 or bfloat16, or check the weights"
    )


def describe_non_finite(hidden: Tensor, *, row: str = "token") -> str:
    """The message for hidden states with NaN or infinity: how many there are, and where the first one is."""
    bad = ~torch.isfinite(hidden)
    index, feature = (int(place) for place in bad.nonzero()[0])
    first = float(hidden[index, feature])
    return non_finite(int(bad.sum()), hidden.numel(), hidden.dtype, first, (row, index, feature))
