"""Several metrics of one text from one decomposition."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from rankscope.errors import UnknownNameError
from rankscope.metrics.arrays import ArrayLike, states_of_one_text
from rankscope.metrics.spectrum import Spectrum, spectrum_of_unit_rows, unit_rows
from rankscope.metrics.table import ONE_LAYER, metrics_that_read

if TYPE_CHECKING:
    from collections.abc import Collection


def measure(
    hidden: ArrayLike, metrics: Collection[str] | None = None, *, computed_in: torch.dtype | None = None
) -> dict[str, Float[Tensor, ""]]:
    """The named metrics of one text, from one pass over its rows and at most one decomposition.

    Args:
        hidden: hidden states of one text, (tokens, d); a tensor, an array or nested lists.
        metrics: names, or one name; those that are measured by default if left out.
        computed_in: the dtype of the forward pass, as in `unit_rows`.

    Raises:
        RepresentationError: one token, equal rows, a row at the mean, NaN or infinity; another shape.
        UnknownNameError: no such metric of hidden states.

    Example:
        >>> numbers = measure([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
        >>> sorted(numbers)[:3]
        ['effective_rank', 'matrix_entropy', 'matrix_nuclear_norm']
        >>> round(float(numbers["effective_rank"]), 4)
        2.0
    """
    return measure_with_spectrum(hidden, metrics, computed_in=computed_in)[0]


def measure_with_spectrum(
    hidden: ArrayLike, metrics: Collection[str] | None = None, *, computed_in: torch.dtype | None = None
) -> tuple[dict[str, Float[Tensor, ""]], Spectrum | None]:
    """As `measure`, with the spectrum that the metrics came from; None where none of them needs one.

    Example:
        >>> numbers, one = measure_with_spectrum([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]], "stable_rank")
        >>> list(numbers)
        ['stable_rank']
        >>> one.tokens
        tensor(4)
    """
    known = metrics_that_read(*ONE_LAYER)
    names = [one.name for one in known if one.default] if metrics is None else metrics
    names = (names,) if isinstance(names, str) else names
    for name in names:
        if name not in {one.name for one in known}:
            raise UnknownNameError("metric of hidden states", name, [one.name for one in known])
    wanted = [one for one in known if one.name in names]
    rows = unit_rows(hidden, computed_in=computed_in)
    one = spectrum_of_unit_rows(rows) if any(metric.reads == "spectrum" for metric in wanted) else None
    given = {"unit rows": rows, "spectrum": one, "states": states_of_one_text(hidden)}
    return {metric.name: metric.function(given[metric.reads]) for metric in wanted}, one
