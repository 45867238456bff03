"""Shards: a run divided into pieces of about the same number of tokens, one for each process.

Each process computes the division itself, from the same call, so processes do not have to communicate.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from rankscope.errors import SettingsError
from rankscope.runs.carry_out import carry_out
from rankscope.runs.inventory import take_inventory

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rankscope.runs.carry_out import Group, Piece, Unit, UnitId
    from rankscope.runs.progress import Progress

_TASK, _COUNT, _FIRST, _STEP = (f"SLURM_ARRAY_TASK_{name}" for name in ("ID", "COUNT", "MIN", "STEP"))


@dataclass(frozen=True)
class Shard:
    """One of several pieces of a run.

    Attributes:
        number: Number of the piece, from 0.
        count: Number of pieces.
    """

    number: int
    count: int

    def __post_init__(self) -> None:
        if not 0 <= self.number < self.count:
            raise SettingsError(
                f"a shard is i/n with i from 0 to n - 1, got {self}: the first of seven is 0/7, the last one 6/7"
            )

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    @classmethod
    def of(cls, given: str | Shard, say: Callable[[str], None] = lambda _: None) -> Shard:
        """Parses the shard given in a call.

        Args:
            given: A shard such as `2/7`, or `auto` to take it from the Slurm array.
            say: Receives a message about the shard found by `auto`.

        Raises:
            SettingsError: `given` is not valid, or is `auto` outside a Slurm array.
        """
        if isinstance(given, Shard):
            return given
        if given.strip() == "auto":
            found = in_slurm_array(os.environ)
            say(f"shard {found}, from task {os.environ[_TASK]} of the Slurm array")
            return found
        match = re.fullmatch(r"\s*([0-9]+)\s*/\s*([0-9]+)\s*", given)
        if match is None:
            raise SettingsError(f"shard is i/n, such as 0/7 for the first of seven, or auto, got {given[:60]!r}")
        return cls(int(match.group(1)), int(match.group(2)))


def in_slurm_array(environment: Mapping[str, str]) -> Shard:
    """The shard of a task in a Slurm array: the task's index among all tasks of the array.

    Raises:
        SettingsError: the variables of a Slurm array are not set or not valid, or the array has gaps.
    """
    missing = [name for name in (_TASK, _COUNT, _FIRST) if name not in environment]
    if missing:
        raise SettingsError(
            f"shard auto is for the tasks of a Slurm array (sbatch --array=0-6), and {', '.join(missing)} is not set: "
            "use i/n instead"
        )
    numbers = {name: _whole(name, environment[name]) for name in (_TASK, _COUNT, _FIRST)}
    step = _whole(_STEP, environment.get(_STEP, "1"))
    behind = numbers[_TASK] - numbers[_FIRST]
    if step < 1 or behind % step or not 0 <= behind // step < numbers[_COUNT]:
        raise SettingsError(
            f"the Slurm array has {numbers[_COUNT]} tasks from {numbers[_FIRST]} in steps of {step}, and task "
            f"{numbers[_TASK]} is not one of them: use an array without gaps, such as --array=0-6, or i/n"
        )
    return Shard(behind // step, numbers[_COUNT])


def pieces_of(groups: Sequence[Group], count: int, among: Piece | None = None) -> list[Piece]:
    """Divides a run into pieces of about the same number of tokens.

    Batches are ordered by group, so the batches of a network are adjacent. Each piece is a contiguous range of them,
    and all pieces together load at most `count - 1` more networks than a single process would. A batch belongs to the
    piece that contains the middle of its tokens; a batch without tokens belongs to the piece of the batch before it.

    Args:
        groups: All groups of the run.
        count: Number of pieces; some are empty if there are fewer batches.
        among: The batches to divide. Default: all.
    """
    wanted = [(unit, _numbers(unit, among)) for group in groups for unit in group.units]
    whole = sum(int(_sizes(unit, numbers).sum()) for unit, numbers in wanted)
    pieces: list[dict[UnitId, Sequence[int]]] = [{} for _ in range(count)]
    before = place = 0
    for unit, numbers in wanted:
        sizes = _sizes(unit, numbers)
        middles = 2 * (before + np.cumsum(sizes)) - sizes
        places = np.where(sizes > 0, middles * count // max(2 * whole, 1), 0)
        places = np.maximum.accumulate(np.maximum(places, place))
        starts = np.flatnonzero(np.diff(places)) + 1
        for start, end in pairwise([0, *starts.tolist(), len(numbers)]):
            if start < end:
                place = int(places[start])
                pieces[place][unit.id] = numbers[start:end]
        before += int(sizes.sum())
    return list(pieces)


def _numbers(unit: Unit, among: Piece | None) -> Sequence[int]:
    """Numbers of a unit's batches to divide; a range if all of them, as a run may have millions."""
    if among is None:
        return range(len(unit.sizes))
    return tuple(sorted(among.get(unit.id, ())))


def _sizes(unit: Unit, numbers: Sequence[int]) -> NDArray[np.int64]:
    sizes = np.array(unit.sizes, dtype=np.int64)
    return sizes if len(numbers) == len(sizes) else sizes[list(numbers)]


def carry_out_shard(groups: Sequence[Group], shard: Shard, progress: Progress) -> None:
    """Measures one shard of a run, and reports what is still missing of the run.

    Raises:
        RankscopeError: as for `carry_out`.
    """
    piece = pieces_of(groups, shard.count)[shard.number]
    units = [unit for group in groups for unit in group.units]
    batches = sum(len(unit.sizes) for unit in units)
    tokens = sum(unit.sizes[number] for unit in units for number in piece.get(unit.id, ()))
    counted = " and ".join(dict.fromkeys(unit.counted for unit in units))
    progress.say(
        f"shard {shard}: {sum(map(len, piece.values())):,} of {batches:,} batches, {tokens:,} of "
        f"{sum(sum(unit.sizes) for unit in units):,} {counted}"
    )
    missing = sum(
        len(set(piece[unit.id]) - unit.store.batches())
        for unit in units
        if unit.id in piece and not unit.store.is_finished()
    )
    carry_out(groups, progress, only=piece)
    progress.say(f"shard {shard} is done" if missing else f"shard {shard} is already complete")
    for folder in dict.fromkeys(unit.record.folder.place for unit in units):
        inventory = take_inventory(folder)
        left = f"{folder}: {inventory.in_words()}"
        if inventory.is_complete:
            left += f"; finish the run with rankscope merge {folder} --output {folder}"
        progress.say(left)


def _whole(name: str, text: str) -> int:
    if not re.fullmatch(r"[0-9]+", text.strip()):
        raise SettingsError(f"{name} must be an integer, got {text[:40]!r}")
    return int(text)
