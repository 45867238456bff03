"""Which models are checkpoints of one training, and at which step."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rankscope.statistics import Summary

_NAMED = re.compile(
    r"(?P<base>.+)[@/][^@/]*(?:steps?|iter|iteration|checkpoint|ckpt)[-_]?(?P<step>\d{1,12})(?!\d)[^@/]*", re.IGNORECASE
)
_BARE = re.compile(r"(?P<base>.+)@(?P<step>\d{1,12})")


def step_of(reference: str) -> tuple[str, int] | None:
    """The model and the step: `owner/model@step1000`, `model@1000`, `folder/checkpoint-500`; None for others."""
    found = _NAMED.fullmatch(reference) or _BARE.fullmatch(reference)
    return (found["base"], int(found["step"])) if found else None


def trainings(rows: Sequence[Summary]) -> dict[str, list[Summary]]:
    """Rows by the model that they are checkpoints of, by step, with `step`; only models with two steps or more."""
    groups: dict[str, list[Summary]] = {}
    for row in rows:
        if found := step_of(str(row["model"])):
            groups.setdefault(found[0], []).append(row | {"step": found[1]})
    return {
        base: sorted(group, key=lambda row: int(row["step"] or 0))
        for base, group in groups.items()
        if len({row["step"] for row in group}) > 1
    }
