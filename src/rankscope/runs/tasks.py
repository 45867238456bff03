"""Tasks for workers: what is missing of a run, cut into pieces of which each loads one network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from rankscope.runs.carry_out import Group, Unit
from rankscope.runs.shards import pieces_of

if TYPE_CHECKING:
    from rankscope.runs.carry_out import Piece, UnitId

_PIECES_OF_A_WORKER = 4
"""So many tasks come to each worker, where networks are few: the last ones end at about the same time."""


@dataclass(frozen=True)
class Task:
    """What one worker does in one go.

    Attributes:
        group: whose network it loads.
        piece: the batches to measure. Empty: the units' batches are all there, and what comes after them is missing.
        cost: how long it takes, in units that are the same for all tasks.
    """

    group: Group
    piece: Piece
    cost: float

    @property
    def name(self) -> str:
        """What people call it: the first of its units."""
        first, *more = self._units
        return f"{first.label} and {len(more):,} more" if more else first.label

    @property
    def _units(self) -> list[Unit]:
        return [unit for unit in self.group.units if not self.piece or unit.id in self.piece]

    def to_send(self) -> Task:
        """The same task with no more data than a worker needs."""
        units = tuple(_to_send(unit, self.piece) for unit in self._units)
        return replace(self, group=replace(self.group, units=units, read_ahead=None))


def cut(groups: Sequence[Group], missing: Mapping[UnitId, frozenset[int]], workers: int) -> list[Task]:
    """Cuts the missing batches of groups into tasks, the longest first.

    A group's network is loaded once for each of its tasks, so a group is cut only where there are too few of them to
    keep all workers busy until the end.

    Args:
        groups: of the run.
        missing: numbers of batches, by unit.
        workers: how many measure at the same time.
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
    """Without what is done by the process that sends it."""
    if not piece:
        return replace(unit, adopt=nothing_to_adopt, excerpt=None)
    measure = unit.measure if unit.excerpt is None else unit.excerpt(piece[unit.id])
    return replace(unit, measure=measure, adopt=nothing_to_adopt, after=nothing_after, excerpt=None)


def nothing_to_adopt(_numbers: object) -> bool:
    """A worker adopts nothing."""
    return False


def nothing_after(_load: object, _progress: object) -> None:
    """A worker that measures batches leaves what comes after them."""
