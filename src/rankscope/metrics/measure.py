"""Several metrics of one text from one decomposition."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from rankscope.errors import UnknownNameError
from rankscope.metrics.arrays import ArrayLike
from rankscope.metrics.controls import rotated_matrix_nuclear_norm_of_unit_rows
from rankscope.metrics.entropy import (
    effective_rank,
    matrix_entropy,
    normalized_matrix_entropy,
    participation_ratio,
    stable_rank,
)
from rankscope.metrics.norms import matrix_nuclear_norm_of_unit_rows, nuclear_norm
from rankscope.metrics.representation import Representation
from rankscope.metrics.spectrum import Spectrum, spectrum_of_unit_rows, unit_rows

if TYPE_CHECKING:
    from collections.abc import Collection

_OF_SPECTRUM = {
    "matrix_entropy": matrix_entropy,
    "effective_rank": effective_rank,
    "normalized_matrix_entropy": normalized_matrix_entropy,
    "nuclear_norm": nuclear_norm,
    "stable_rank": stable_rank,
    "participation_ratio": participation_ratio,
}
_OF_UNIT_ROWS = {
    "matrix_nuclear_norm": matrix_nuclear_norm_of_unit_rows,
    "rotated_matrix_nuclear_norm": rotated_matrix_nuclear_norm_of_unit_rows,
}

METRICS: tuple[str, ...] = (*_OF_SPECTRUM, "matrix_nuclear_norm")
"""The metrics of a representation that are measured unless others are named."""

OPTIONAL_METRICS: tuple[str, ...] = ("rotated_matrix_nuclear_norm",)
"""Those that are measured only when they are named."""


def measure(
    hidden: ArrayLike, metrics: Collection[str] = METRICS, *, computed_in: torch.dtype | None = None
) -> dict[str, Float[Tensor, ""]]:
    """The named metrics of one text, from one pass over its rows and at most one decomposition.

    Args:
        hidden: hidden states of one text, (tokens, d); a tensor, an array or nested lists.
        metrics: names, or one name.
        computed_in: the dtype of the forward pass, as in `unit_rows`.

    Raises:
        RepresentationError: one token, equal rows, a row at the mean, NaN or infinity; another shape.
        UnknownNameError: no such metric.
    """
    return measure_with_spectrum(hidden, metrics, computed_in=computed_in)[0]


def measure_with_spectrum(
    hidden: ArrayLike, metrics: Collection[str] = METRICS, *, computed_in: torch.dtype | None = None
) -> tuple[dict[str, Float[Tensor, ""]], Spectrum | None]:
    """As `measure`, with the spectrum that the metrics came from; None where none of them needs one."""
    names = (metrics,) if isinstance(metrics, str) else metrics
    for name in names:
        if name not in _OF_SPECTRUM and name not in _OF_UNIT_ROWS:
            raise UnknownNameError("metric of hidden states", name, (*METRICS, *OPTIONAL_METRICS))
    rows = unit_rows(hidden, computed_in=computed_in)
    numbers = {name: of_rows(rows) for name, of_rows in _OF_UNIT_ROWS.items() if name in names}
    wanted = {name: of_spectrum for name, of_spectrum in _OF_SPECTRUM.items() if name in names}
    if not wanted:
        return numbers, None
    one = spectrum_of_unit_rows(rows)
    return numbers | {name: of_spectrum(one) for name, of_spectrum in wanted.items()}, one


def measure_representation(one: Representation, metrics: Collection[str]) -> dict[str, Float[Tensor, ""]]:
    """The named metrics of one text at one layer.

    Raises:
        RepresentationError: as `measure`, also where no metric is named.
    """
    numbers = {name: of_rows(one.unit_rows) for name, of_rows in _OF_UNIT_ROWS.items() if name in metrics}
    _ = one.unit_rows
    return numbers | {name: f(one.spectrum) for name, f in _OF_SPECTRUM.items() if name in metrics}


def measure_adjacent(
    before: Representation, after: Representation, metrics: Collection[str]
) -> dict[str, Float[Tensor, ""]]:
    """The named metrics of one text at two adjacent layers."""
    return {}


def names_reading(names, what):
    return tuple(n for n in (*METRICS, *OPTIONAL_METRICS) if n in names) if what == "one layer" else ()
