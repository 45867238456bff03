"""Tasks for workers: the missing batches of a run, divided so that each task loads one network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from rankscope.runs.carry_out import Group, Unit
from rankscope.runs.shards import pieces_of

if TYPE_CHECKING:
    from rankscope.runs.carry_out import Piece, UnitId

_PIECES_OF_A_WORKER = 4
"""Number of tasks per worker if there are few networks; several make workers finish at about the same time."""


@dataclass(frozen=True)
class Task:
    """A unit of work for one worker.

    Attributes:
        group: The group, which provides the network.
        piece: The batches to measure; empty if all batches exist and the units only need to be finished.
        cost: Estimated duration, comparable between tasks.
    """

    group: Group
    piece: Piece
    cost: float

    @property
    def name(self) -> str:
        """Name in messages: the label of its first unit, and the number of others."""
        first, *more = self._units
        return f"{first.label} and {len(more):,} more" if more else first.label

    @property
    def _units(self) -> list[Unit]:
        return [unit for unit in self.group.units if not self.piece or unit.id in self.piece]

    def to_send(self) -> Task:
        """The task with only the data that a worker needs."""
        units = tuple(_to_send(unit, self.piece) for unit in self._units)
        return replace(self, group=replace(self.group, units=units))


def cut(groups: Sequence[Group], missing: Mapping[UnitId, frozenset[int]], workers: int) -> list[Task]:
    """Divides the missing batches of groups into tasks, the most expensive first.

    A group's network is loaded once for each of its tasks, so groups are divided only if there are too few of them to
    keep all workers busy until the end.

    Args:
        groups: All groups of the run.
        missing: Numbers of missing batches, by unit.
        workers: Number of workers that measure in parallel.
    """
    sizes = [group.size for group in groups]
    tokens = [_tokens(group, missing) for group in groups]
    costs = [count * (size if all(sizes) else 1) for count, size in zip(tokens, sizes, strict=True)]
    share = sum(costs) / (_PIECES_OF_A_WORKER * max(workers, 1))
    tasks = []
    for group, cost in zip(groups, costs, strict=True):
        wanted = {unit.id: missing[unit.id] for unit in group.units if missing.get(unit.id)}
        batches = sum(map(len, wanted.values()))
        count = min(max(round(cost / share), 1) if share else 1, batches)
        pieces = [piece for piece in pieces_of([group], count, among=wanted) if piece] if batches else []
        tasks += [Task(group, piece, cost / len(pieces)) for piece in pieces]
    return sorted(tasks, key=lambda task: -task.cost)


def _tokens(group: Group, missing: Mapping[UnitId, frozenset[int]]) -> int:
    return sum(unit.sizes[number] for unit in group.units for number in missing.get(unit.id, ()))


def _to_send(unit: Unit, piece: Piece) -> Unit:
    """The unit without the steps that remain with the sending process."""
    if not piece:
        return replace(unit, adopt=nothing_to_adopt, excerpt=None)
    measure = unit.measure if unit.excerpt is None else unit.excerpt(piece[unit.id])
    return replace(unit, measure=measure, adopt=nothing_to_adopt, after=nothing_after, excerpt=None)


def nothing_to_adopt(_numbers: object) -> bool:
    """Stands for `Unit.adopt` on workers, which adopt nothing."""
    return False


def nothing_after(_load: object, _progress: object) -> None:
    """Stands for `Unit.after` on workers that measure only batches."""
