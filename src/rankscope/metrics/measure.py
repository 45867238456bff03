"""Several metrics of one text from one decomposition."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from rankscope.errors import UnknownNameError
from rankscope.metrics.arrays import ArrayLike
from rankscope.metrics.representation import Representation
from rankscope.metrics.table import ADJACENT_LAYERS, ONE_LAYER, metrics_that_read

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
    known = metrics_that_read(*ONE_LAYER)
    names = [one.name for one in known if one.default] if metrics is None else metrics
    names = (names,) if isinstance(names, str) else names
    for name in names:
        if name not in {one.name for one in known}:
            raise UnknownNameError("metric of hidden states", name, [one.name for one in known])
    return measure_representation(Representation(hidden, computed_in=computed_in), names)


def measure_representation(one: Representation, metrics: Collection[str]) -> dict[str, Float[Tensor, ""]]:
    """Those of the named metrics that read one layer.

    Raises:
        RepresentationError: as `measure`, whichever metrics are named.
    """
    _ = one.unit_rows  # refuses what has no spectrum
    wanted = [metric for metric in metrics_that_read(*ONE_LAYER) if metric.name in metrics]
    return {metric.name: metric.function(one.read_by(metric.reads)) for metric in wanted}


def measure_adjacent(
    before: Representation, after: Representation, metrics: Collection[str]
) -> dict[str, Float[Tensor, ""]]:
    """Those of the named metrics that read one text at two adjacent layers.

    Args:
        before: the earlier layer.
        after: the later layer.
        metrics: names.

    Raises:
        RepresentationError: as `measure`, for either layer.
    """
    wanted = [metric for metric in metrics_that_read(*ADJACENT_LAYERS) if metric.name in metrics]
    return {
        metric.name: metric.function(before.read_by(metric.reads), after.read_by(metric.reads)) for metric in wanted
    }
