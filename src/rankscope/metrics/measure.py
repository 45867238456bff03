"""Several metrics of one text from one decomposition."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from rankscope.errors import UnknownNameError
from rankscope.metrics.arrays import ArrayLike, states_of_one_text
from rankscope.metrics.decomposition import Decompositions
from rankscope.metrics.representations import Representations
from rankscope.metrics.table import ONE_LAYER, metrics_that_read

if TYPE_CHECKING:
    from collections.abc import Collection


def measure(
    hidden: ArrayLike, metrics: Collection[str] | None = None, *, computed_in: torch.dtype | None = None
) -> dict[str, Float[Tensor, ""]]:
    """The named metrics of one text, from one pass over its rows and at most one decomposition.

    Args:
        hidden: hidden states of one text, (tokens, d); a tensor, an array or nested lists.
        metrics: names, or one name; None for those that are measured by default.
        computed_in: the dtype of the forward pass, as in `unit_rows`.

    Raises:
        RepresentationError: one token, equal rows, a row at the mean, NaN or infinity; wrong shape.
        UnknownNameError: no such metric of hidden states.

    Example:
        >>> numbers = measure([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
        >>> sorted(numbers)[:3]
        ['effective_rank', 'matrix_entropy', 'matrix_nuclear_norm']
        >>> round(float(numbers["effective_rank"]), 4)
        2.0
    """
    known = metrics_that_read(*ONE_LAYER)
    names = [one.name for one in known if one.default] if metrics is None else metrics
    names = (names,) if isinstance(names, str) else names
    for name in names:
        if name not in {one.name for one in known}:
            raise UnknownNameError("metric of hidden states", name, [one.name for one in known])
    found = Representations([states_of_one_text(hidden)], computed_in=computed_in)
    found.refuse()
    (part,) = found.parts
    wanted = [metric for metric in known if metric.name in names]
    if any(metric.reads == "spectrum" for metric in wanted):
        waiting = Decompositions()
        found.decompose(waiting)
        waiting.run()
    return {metric.name: part.number(metric)[0] for metric in wanted}
