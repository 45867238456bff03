"""Carrying out a run: for each unit that is missing load its network, measure it batch by batch, keep what comes.

What the units are, `evaluate`, `align` and `respond` declare. Several processes may carry out the same run in one
folder: each unit is measured by one of them.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from rankscope.measuring import Row
    from rankscope.runs.folder import RunFolder
    from rankscope.runs.identity import UnitKey
    from rankscope.runs.progress import Progress
    from rankscope.runs.record import Record


class Store(Protocol):
    """Where the batches of a unit are kept."""

    def is_finished(self) -> bool:
        """Whether all of the unit is there."""

    def batches(self) -> set[int]:
        """The numbers of batches that are there of an unfinished unit."""

    def keep(self, number: int, rows: list[Row]) -> None:
        """Keeps one batch for good.

        Raises:
            StorageError: it could not be written.
        """

    def finish(self) -> None:
        """Called once all batches are kept."""


@dataclass(frozen=True)
class UnitFile:
    """A unit's batches in files of their own, and all of it in one file in the end.

    Attributes:
        folder: of the run.
        name: of the unit.
        order: in which rows of a text stand, by a column's values.
        column: its name.
    """

    folder: RunFolder
    name: str
    order: tuple[str, ...]
    column: str = "layer"

    def is_finished(self) -> bool:
        """Whether the one file is there."""
        return self.folder.is_finished(self.name)

    def batches(self) -> set[int]:
        """The batches that have a file."""
        return self.folder.finished_batches(self.name)

    def keep(self, number: int, rows: list[Row]) -> None:
        """Writes a batch's file."""
        self.folder.write_batch(self.name, number, rows)

    def finish(self) -> None:
        """Joins the batches."""
        self.folder.finish_unit(self.name, self.order, self.column)


@dataclass(frozen=True)
class Unit:
    """What is computed in one go and kept in one place: a model, a role, a seed and a data set.

    Attributes:
        name: of its file and its lock.
        key: what its numbers depend on.
        record: of the run that it belongs to.
        store: where it is kept.
        label: what progress calls it.
        sizes: of its batches, in what is counted.
        counted: such as `tokens`.
        measure: given the network and the numbers of batches that are there, yields the other ones.
        adopt: takes the whole unit from elsewhere, if it can, and says whether it did.
        after: called with the network once all batches are kept, for what needs both.
        remark: said before the unit is measured.
    """

    name: str
    key: UnitKey
    record: Record
    store: Store
    label: str
    sizes: tuple[int, ...]
    counted: str
    measure: Callable[[Any, Collection[int]], Iterator[tuple[int, list[Row]]]]
    adopt: Callable[[], bool] = lambda: False
    after: Callable[[Any], None] = lambda _: None
    remark: str | None = None


@dataclass(frozen=True)
class Group:
    """Units that one network measures.

    Attributes:
        units: the network is loaded for the first of them that is missing.
        load: loads it, and says so.
    """

    units: tuple[Unit, ...]
    load: Callable[[], Any]


def carry_out(groups: Iterable[Group], progress: Progress) -> None:
    """Measures all units that are missing; each network is gone before the next is made.

    A unit that another process measures meanwhile is left to it, and waited for in the end.

    Raises:
        RunFolderError: what is there of a unit was measured in another way.
        StorageError: a batch could not be written.
        RankscopeError: whatever loading and measuring raise. What was finished is kept.
    """
    elsewhere = [replace(group, units=busy) for group in groups if (busy := _carry_out(group, progress, wait=False))]
    for group in elsewhere:
        _carry_out(group, progress, wait=True)


def _carry_out(group: Group, progress: Progress, *, wait: bool) -> tuple[Unit, ...]:
    """Measures a group's units; returns those that another process is measuring."""
    network: Any = None
    busy: list[Unit] = []
    for unit in group.units:
        if _is_there(unit):
            continue
        with unit.record.folder.claim(unit.name, wait=wait) as ours:
            if not ours:
                busy.append(unit)
                continue
            # Another process may have finished it since.
            if _is_there(unit) or unit.adopt():
                continue
            if network is None:
                network = group.load()
            _measure(unit, network, progress)
    del network
    gc.collect()
    return tuple(busy)


def _is_there(unit: Unit) -> bool:
    """Whether a unit is finished; whatever there is of it is verified."""
    finished = unit.store.is_finished()
    if finished or unit.store.batches():
        unit.record.verify(unit.name, unit.key)
    return finished


def _measure(unit: Unit, network: Any, progress: Progress) -> None:
    done = unit.store.batches()
    if unit.remark is not None:
        progress.say(unit.remark)
    unit.record.begin(unit.name, unit.key, progress)
    progress.start(unit.label, sum(unit.sizes), unit.counted)
    if done:
        progress.advance(sum(unit.sizes[number] for number in done), computed=False)
    for number, rows in unit.measure(network, done):
        unit.store.keep(number, rows)
        progress.advance(unit.sizes[number], computed=True)
    unit.store.finish()
    unit.after(network)
