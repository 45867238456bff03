"""Which models are checkpoints of one training."""

from __future__ import annotations

from collections.abc import Sequence

from rankscope.models import training_step
from rankscope.statistics import Summary


def trainings(rows: Sequence[Summary]) -> dict[str, list[Summary]]:
    """Groups checkpoint rows by training, sorted by step, and adds the key `step`; needs at least two steps."""
    groups: dict[str, list[Summary]] = {}
    for row in rows:
        if found := training_step(str(row["model"])):
            groups.setdefault(found.training, []).append(row | {"step": found.step})
    return {
        base: sorted(group, key=lambda row: int(row["step"] or 0))
        for base, group in groups.items()
        if len({row["step"] for row in group}) > 1
    }
