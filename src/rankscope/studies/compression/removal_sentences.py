"""Sentences on rankings: which one adds the least loss, and whether the difference is beyond noise."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import polars as pl

from rankscope.studies.compression.rankings import RANDOM
from rankscope.studies.compression.removal import MOST_ALONE, Removals
from rankscope.words import in_a_list, ordinal

ALPHA = 0.05


def best_ranking(found: Removals, count: int) -> str:
    """The ranking with the lowest loss after this number of blocks is removed."""
    rows = found.table.filter(pl.col("removed") == count)
    return str(rows.sort("loss", maintain_order=True)["ranking"][0])


def sentences_on_removal(found: Removals, subject: str, blocks: int) -> Iterator[str]:
    """Sentences on the best ranking for each number of blocks, on its tests, and on the scores' correlations."""
    counts = found.table["removed"].unique(maintain_order=True).to_list()
    beyond: dict[str, list[int]] = {"the next": [], RANDOM: []}
    for count in counts:
        said, next_is_beaten, chance_is_beaten = _winner(found, count, blocks)
        yield f"{subject}: {said}"
        beyond["the next"] += [count] if next_is_beaten else []
        beyond[RANDOM] += [count] if chance_is_beaten else []
    tests = found.comparisons.height
    yield (
        f"{subject}: the best ranking beats the next one beyond noise {_at(beyond['the next'], counts)}, and "
        f"random removal {_at(beyond[RANDOM], counts)} (sign-flip tests, p below {ALPHA} after Holm's "
        f"correction over all {tests} comparisons of two rankings)."
    )
    yield f"{subject}: {_entropy(found, counts)}"
    yield f"{subject}: {_associations(found, blocks)}"


def _at(some: list[int], counts: list[int]) -> str:
    if not some:
        return "for no number of removed blocks"
    return "for every number of removed blocks" if some == counts else f"only with {in_a_list(some)} removed"


def _winner(found: Removals, count: int, blocks: int) -> tuple[str, bool, bool]:
    """The sentence for one number of blocks, and whether the best ranking beats the next and random beyond noise."""
    rows = found.table.filter(pl.col("removed") == count).sort("loss", maintain_order=True).rows(named=True)
    best = rows[0]
    removed = found.removed[best["ranking"], count]
    same = [row["ranking"] for row in rows if found.removed[row["ranking"], count] == removed]
    others = [row for row in rows if row["ranking"] not in same]
    which = "" if best["ranking"] == RANDOM else f"; block{'s' if count > 1 else ''} {best['blocks']}"
    verb = "cost" if len(same) > 1 else "costs"
    said = f"with {count} of {blocks} blocks removed, {in_a_list(same)} {verb} least ({_change(best)}{which})"
    if not others:
        return f"{said}; all rankings remove the same blocks.", False, False
    runner_up = others[0]
    next_said, next_is_beaten = _against(found, count, best["ranking"], runner_up["ranking"])
    said += f"; next is {runner_up['ranking']} ({_change(runner_up)}), {next_said}"
    if RANDOM in same or runner_up["ranking"] == RANDOM:
        return f"{said}.", next_is_beaten, next_is_beaten and RANDOM not in same
    chance = next(row for row in rows if row["ranking"] == RANDOM)
    chance_said, chance_is_beaten = _against(found, count, best["ranking"], RANDOM)
    return f"{said}; random: {_change(chance)}, {chance_said}.", next_is_beaten, chance_is_beaten


def _change(row: dict[str, Any]) -> str:
    return f"loss {row['loss_change']:+.3f}, {row['loss_change_low']:+.3f} to {row['loss_change_high']:+.3f}"


def _against(found: Removals, count: int, one: str, other: str) -> tuple[str, bool]:
    both = pl.col("ranking").is_in([one, other]) & pl.col("other").is_in([one, other])
    row = found.comparisons.filter(pl.col("removed") == count, both).row(0, named=True)
    is_beaten = row["p_holm"] < ALPHA
    said = "beyond noise" if is_beaten else "not beyond noise"
    return f"{said} (p = {row['p_holm']:.2g})", is_beaten


def _entropy(found: Removals, counts: list[int]) -> str:
    """The performance of rankscope's own ranking, by the change of matrix entropy."""
    places, better = [], []
    for count in counts:
        rows = found.table.filter(pl.col("removed") == count).sort("loss", maintain_order=True)
        places.append(rows["ranking"].to_list().index("entropy change") + 1)
        losses = dict(zip(rows["ranking"], rows["loss"], strict=True))
        is_lower = losses["entropy change"] < losses[RANDOM]
        if is_lower and _against(found, count, "entropy change", RANDOM)[1]:
            better.append(count)
    return (
        f"change of matrix entropy ranks {in_a_list([ordinal(place) for place in places])} of "
        f"{found.table['ranking'].n_unique()} with {in_a_list(counts)} removed, and beats random removal beyond noise "
        f"{_at(better, counts)}."
    )


def _associations(found: Removals, blocks: int) -> str:
    if blocks > MOST_ALONE:
        return f"blocks were not removed one by one, because there are more than {MOST_ALONE}."
    known = found.associations.drop_nulls("spearman").sort("spearman", descending=True)
    if known.is_empty():
        return f"{blocks} blocks are too few to correlate scores with the damage of removing each block alone."
    said = []
    for row in known.rows(named=True):
        interval = (
            f" ({row['spearman_low']:+.2f} to {row['spearman_high']:+.2f})" if row["spearman_low"] is not None else ""
        )
        said.append(f"{row['ranking']} {row['spearman']:+.2f}{interval}")
    return f"Spearman's correlation over {blocks} blocks with the added loss of removing each alone: {', '.join(said)}."
