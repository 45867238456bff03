"""Metrics of a data set, computed from one vector per text."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

import polars as pl
import torch
from torch import Tensor

from rankscope.errors import RepresentationError
from rankscope.metrics import alpha_req, effective_rank, noise_value, rankme, stable_rank, uniformity

POOLED: Mapping[str, Callable[[Tensor], Tensor]] = {
    "rankme": rankme,
    "alpha_req": alpha_req,
    "pooled_effective_rank": effective_rank,
    "pooled_stable_rank": stable_rank,
    "uniformity": uniformity,
}
"""Metrics of pooled vectors, by key of the summary."""


def pooled_metrics(vectors: Sequence[Sequence[float]]) -> dict[str, float | None]:
    """The metrics of a set of vectors; None if undefined, such as for too few or equal vectors."""
    matrix = torch.tensor(vectors, dtype=torch.float64)
    found: dict[str, float | None] = dict.fromkeys(POOLED)
    for name, metric in POOLED.items():
        with suppress(RepresentationError):
            found[name] = float(metric(matrix))
    return found


def of_pooled(trained: pl.DataFrame, twins: Sequence[pl.DataFrame]) -> dict[str, float | None]:
    """A summary's entries about the pooled vectors of a layer; empty if vectors are missing.

    They are each metric, its mean over twins, and the ratio of the effective rank to noise of the same shape.
    """
    if "pooled" not in trained.columns or trained.is_empty() or trained["pooled"].null_count():
        return {}
    found = pooled_metrics(trained["pooled"].to_list())
    rank, size = found["pooled_effective_rank"], len(trained["pooled"][0])
    if rank is not None and trained.height >= 3 and size >= 2:
        found["pooled_effective_rank_over_noise"] = rank / noise_value("effective_rank", trained.height, size)
    of_twins = [pooled_metrics(twin["pooled"].to_list()) for twin in twins if not twin["pooled"].null_count()]
    for name in POOLED if of_twins else ():
        values = [one[name] for one in of_twins]
        known = [value for value in values if value is not None]
        found[f"{name}_untrained"] = sum(known) / len(known) if len(known) == len(values) else None
    return found
