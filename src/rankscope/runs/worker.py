"""What a worker does with a task: it loads one network, measures its batches, and keeps them in the run's folder.

Only messages go back. A batch or a network that fails is one of them, and the rest of the task goes on.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from rankscope.errors import RankscopeError, RunFolderError, StorageError
from rankscope.runs.carry_out import LazyNetwork, carry_out, is_there
from rankscope.runs.manifest import MANIFEST
from rankscope.runs.record import Record
from rankscope.runs.session import session_of

if TYPE_CHECKING:
    from rankscope.runs.carry_out import Unit, UnitId
    from rankscope.runs.tasks import Task

_MOST_FAILURES = 3
"""A network that fails on so many batches of a task is broken."""


@dataclass(frozen=True)
class Said:
    """A worker says something."""

    message: str


@dataclass(frozen=True)
class Taken:
    """A worker has taken a task, by its number."""

    task: int


@dataclass(frozen=True)
class Began:
    """A worker begins with something.

    Attributes:
        task: its number.
        label: what people call it.
    """

    task: int
    label: str


@dataclass(frozen=True)
class Kept:
    """A batch is in the run's folder."""

    unit: UnitId
    batch: int


@dataclass(frozen=True)
class Failure:
    """Something that could not be measured.

    Attributes:
        what: a unit or a network.
        why: the error's message.
    """

    what: str
    why: str


Message = Said | Taken | Began | Kept
Tell = Callable[[Message], None]


@dataclass(frozen=True)
class Assignment:
    """A task, numbered, for one worker.

    Attributes:
        number: tells it from the other tasks of the run.
        task: what is to be done.
        threads: to compute with.
    """

    number: int
    task: Task
    threads: int


@dataclass(frozen=True)
class _Telling:
    """Progress that goes to the process that made the task."""

    assignment: Assignment
    tell: Tell

    def say(self, message: str) -> None:
        """Passes the message on."""
        self.tell(Said(message))

    def start(self, label: str, total: int, unit: str = "tokens") -> None:  # noqa: ARG002 (one bar is for all workers)
        """Tells what begins."""
        self.tell(Began(self.assignment.number, label))

    def relabel(self, label: str) -> None:
        """Tells what begins."""
        self.tell(Began(self.assignment.number, label))

    def advance(self, done: int, *, computed: bool) -> None:
        """Says nothing: batches are told of one by one."""


def work(assignment: Assignment, tell: Tell) -> tuple[Failure, ...]:
    """Does a task.

    Args:
        assignment: the task.
        tell: takes messages to the process that made it.

    Returns:
        What could not be measured.
    """
    tell(Taken(assignment.number))
    torch.set_num_threads(assignment.threads)
    progress = _Telling(assignment, tell)
    task = _at_home(assignment)
    network = LazyNetwork(task.group, progress)
    try:
        if task.piece:
            failures = [failure for unit in task.group.units for failure in _measure(unit, task, network, tell)]
        else:
            carry_out([task.group], progress)
            failures = []
        for record in _records(task).values():
            if record.session["measured"]:
                record.conclude()
    except RankscopeError as error:
        return (Failure(task.name, str(error)),)
    finally:
        network.drop()
    return tuple(failures)


def _at_home(assignment: Assignment) -> Task:
    """The task with records of this process instead of those of the one that sent it."""
    task, here = assignment.task, {}
    for place, record in _records(task).items():
        session = session_of(task.group.device, record.session["sources"])
        more = {"data": record.session["data"], "machine": platform.node()}
        here[place] = Record(record.folder, session | more)
    units = (replace(unit, record=here[str(unit.record.folder.place)]) for unit in task.group.units)
    return replace(task, group=replace(task.group, units=tuple(units)))


def _records(task: Task) -> dict[str, Record]:
    """By the folders of the runs."""
    return {str(unit.record.folder.place): unit.record for unit in task.group.units}


def _measure(unit: Unit, task: Task, network: LazyNetwork, tell: Tell) -> Iterator[Failure]:
    """Measures and keeps the batches of a unit that belong to a task; yields what fails."""
    folder, wanted = unit.record.folder, set(task.piece[unit.id])
    if not folder.storage.exists(MANIFEST):
        raise RunFolderError(
            f"{platform.node()} cannot access {folder.place}: choose an --output that all nodes share, such as "
            "s3://BUCKET/FOLDER"
        )
    there = set(range(len(unit.sizes))) if is_there(unit) else unit.store.batches()
    for number in sorted(wanted & there):  # by a worker that was lost
        tell(Kept(unit.id, number))
    left, failed, one_by_one = wanted - there, 0, False
    if left:
        network.get()  # its errors are the task's
    while left:
        now = {min(left)} if one_by_one else left
        try:
            for number in _kept(unit, now, network):
                left = left - {number}
                tell(Kept(unit.id, number))
            one_by_one = False
        except (RunFolderError, StorageError):
            raise
        except RankscopeError as error:
            if not one_by_one:  # which batch it was shows when the first of them is measured alone
                one_by_one = True
                continue
            yield Failure(unit.label, str(error))
            left, failed, one_by_one = left - now, failed + 1, False
            if failed == _MOST_FAILURES and left:
                yield Failure(unit.label, f"{len(left):,} more batches were skipped because {failed} failed")
                return


def _kept(unit: Unit, wanted: Collection[int], network: LazyNetwork) -> Iterator[int]:
    """Measures batches, keeps them, and yields their numbers."""
    loaded = network.get()
    unit.record.begin(unit.name, unit.about, network.progress)
    network.progress.start(unit.label, 0)
    for number, rows in unit.measure(loaded, set(range(len(unit.sizes))) - set(wanted)):
        unit.store.keep(number, rows)
        yield number
