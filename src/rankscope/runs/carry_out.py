"""Carrying out a run: for each missing unit, load its network, measure it batch by batch, and save the batches.

`evaluate`, `align` and `respond` declare the units. Several processes can carry out the same run in one folder: either
each unit is measured by one process, or each process measures its own piece of the run, some batches of some units.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

from rankscope.runs.manifest import UnitRecord

if TYPE_CHECKING:
    from rankscope.measuring import Row
    from rankscope.runs.folder import RunFolder
    from rankscope.runs.identity import UnitKey
    from rankscope.runs.progress import Progress
    from rankscope.runs.record import Record

UnitId = tuple[str, str]
"""The folder of a run, and the name of one of its units."""
Piece = Mapping[UnitId, Collection[int]]
"""A part of a run: batch numbers by unit."""
Measure = Callable[[Any, Collection[int]], "Iterator[tuple[int, list[Row]]]"]
"""Takes a network and the numbers of existing batches; yields number and rows of each other batch."""


class Store(Protocol):
    """Storage of a unit's batches."""

    @property
    def order(self) -> tuple[str, ...]:
        """Final order of the rows of a text, as values of `column`."""

    @property
    def column(self) -> str:
        """Name of the column that orders the rows of a text."""

    def is_finished(self) -> bool:
        """Whether the unit is complete."""

    def batches(self) -> set[int]:
        """Numbers of the existing batches of an unfinished unit."""

    def keep(self, number: int, rows: list[Row]) -> None:
        """Saves one batch permanently.

        Raises:
            StorageError: the batch could not be written.
        """

    def finish(self, record: UnitRecord) -> None:
        """Called when all batches are saved; `record` is the unit's entry in the run's folder."""


@dataclass(frozen=True)
class UnitFile:
    """Stores each batch of a unit in a separate file, and joins them into one file when all are complete.

    Attributes:
        folder: The run's folder.
        name: The unit's name.
        order: The order of a text's rows, by the values of a column.
        column: The column's name.
    """

    folder: RunFolder
    name: str
    order: tuple[str, ...]
    column: str = "layer"

    def is_finished(self) -> bool:
        """Whether the joined file exists."""
        return self.folder.is_finished(self.name)

    def batches(self) -> set[int]:
        """The batches that have a file."""
        return self.folder.finished_batches(self.name)

    def keep(self, number: int, rows: list[Row]) -> None:
        """Writes a batch's file."""
        self.folder.write_batch(self.name, number, rows)

    def finish(self, record: UnitRecord) -> None:
        """Joins the batches."""
        self.folder.finish_unit(self.name, record)


@dataclass(frozen=True)
class Unit:
    """A unit of work, computed together and stored in one place: a model, a role, a seed and a data set.

    Attributes:
        name: Name of its file and its lock.
        key: Everything that determines its numbers.
        record: Record of its run.
        store: Storage of its batches.
        label: Name in progress messages.
        sizes: Sizes of its batches, in units of `counted`.
        counted: What sizes count, such as `tokens`.
        measure: Takes the network and the numbers of existing batches, and yields the other batches.
        adopt: Takes over existing measurements of some batches, or of the whole unit (None); returns whether it did.
        after: Called when all batches are saved, with a loader of the network and progress.
        remark: Message before the unit is measured.
        excerpt: `measure` of only some batches, with only the data they need, to send to another process. Default:
            `measure` itself.
        shared: Equal for units that can adopt each other's measurements when one of them is finished.
        needs_network_after: Whether `after` loads the network.
    """

    name: str
    key: UnitKey
    record: Record
    store: Store
    label: str
    sizes: tuple[int, ...]
    counted: str
    measure: Measure
    adopt: Callable[[Collection[int] | None], bool] = lambda _: False
    after: Callable[[Callable[[], Any], Progress], None] = lambda *_: None
    remark: str | None = None
    excerpt: Callable[[Collection[int]], Measure] | None = None
    shared: str | None = None
    needs_network_after: bool = False

    @property
    def id(self) -> UnitId:
        """Unique among the units of all runs."""
        return str(self.record.folder.place), self.name

    @property
    def about(self) -> UnitRecord:
        """The unit's entry in the run's folder."""
        return UnitRecord(
            self.key.tokens, self.key.everything, len(self.sizes), tuple(self.store.order), self.store.column
        )


@dataclass(frozen=True)
class Group:
    """Units that share a network.

    Attributes:
        units: The units; the network is loaded for the first missing one.
        load: Loads the network and reports it to progress.
        size: Size of its weights in bytes; 0 if unknown.
        device: Its device.
    """

    units: tuple[Unit, ...]
    load: Callable[[Progress], Any]
    size: int = 0
    device: str = "cpu"


@dataclass
class LazyNetwork:
    """A group's network, loaded on first use."""

    group: Group
    progress: Progress
    _loaded: list[Any] = field(default_factory=list)

    def get(self) -> Any:
        """The network."""
        if not self._loaded:
            self._loaded.append(self.group.load(self.progress))
        return self._loaded[0]

    def drop(self) -> None:
        """Frees its memory."""
        self._loaded.clear()
        gc.collect()


def carry_out(groups: Iterable[Group], progress: Progress, only: Piece | None = None) -> None:
    """Measures all missing units; each network is released before the next one is loaded.

    A unit that another process is measuring is left to that process and awaited at the end. A piece of the run is
    measured independently of other processes, which have other pieces: its batches are saved but not joined.

    Args:
        groups: Groups of units.
        progress: Receives progress.
        only: The piece to measure. Default: everything. Networks without a batch in it are not loaded.

    Raises:
        RunFolderError: existing batches of a unit were measured in another way.
        StorageError: a batch could not be written.
        RankscopeError: any error of loading and measuring. Finished work is saved.
    """
    if only is not None:
        for group in groups:
            _carry_out_piece(group, only, progress)
        return
    elsewhere = [replace(group, units=busy) for group in groups if (busy := _carry_out(group, progress, wait=False))]
    for group in elsewhere:
        _carry_out(group, progress, wait=True)


def _carry_out(group: Group, progress: Progress, *, wait: bool) -> tuple[Unit, ...]:
    """Measures a group's units; returns those that another process is measuring."""
    network = LazyNetwork(group, progress)
    busy: list[Unit] = []
    for unit in group.units:
        if is_there(unit):
            continue
        with unit.record.folder.claim(unit.name, wait=wait) as ours:
            if not ours:
                busy.append(unit)
                continue
            # Another process may have finished it before the lock was acquired.
            if is_there(unit) or unit.adopt(None):
                continue
            _measure(unit, range(len(unit.sizes)), network, progress)
            unit.store.finish(unit.about)
            unit.after(network.get, progress)
    network.drop()
    return tuple(busy)


def _carry_out_piece(group: Group, piece: Piece, progress: Progress) -> None:
    """Measures those batches of a group's units that belong to a piece."""
    network = LazyNetwork(group, progress)
    for unit in group.units:
        wanted = piece.get(unit.id, ())
        if not wanted or is_there(unit):
            continue
        missing = set(wanted) - unit.store.batches()
        if missing and not unit.adopt(missing):
            _measure(unit, wanted, network, progress)
    network.drop()


def is_there(unit: Unit) -> bool:
    """Whether a unit is finished; existing batches are verified first."""
    finished = unit.store.is_finished()
    if finished or unit.store.batches():
        unit.record.verify(unit.name, unit.about)
    return finished


def _measure(unit: Unit, wanted: Collection[int], network: LazyNetwork, progress: Progress) -> None:
    """Measures and saves the missing ones among the wanted batches."""
    done = unit.store.batches().intersection(wanted)
    if unit.sizes and len(done) == len(wanted):
        return
    loaded = network.get()
    if unit.remark is not None:
        progress.say(unit.remark)
    unit.record.begin(unit.name, unit.about, progress)
    progress.start(unit.label, sum(unit.sizes[number] for number in wanted), unit.counted)
    if done:
        progress.advance(sum(unit.sizes[number] for number in done), computed=False)
    for number, rows in unit.measure(loaded, done | (set(range(len(unit.sizes))) - set(wanted))):
        unit.store.keep(number, rows)
        progress.advance(unit.sizes[number], computed=True)
