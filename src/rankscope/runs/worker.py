"""A worker's part in a run: it loads one network, measures the batches of its task, and saves them in the run's folder.

Only messages and failures go back to the process that sent the task. After a failed batch, the worker continues with
the rest of its task.
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
"""After this many failed batches of one unit, the network is considered broken and the rest is skipped."""


@dataclass(frozen=True)
class Said:
    """A message for the user."""

    message: str


@dataclass(frozen=True)
class Taken:
    """A worker has accepted the task with this number."""

    task: int


@dataclass(frozen=True)
class Began:
    """A worker starts a step of a task.

    Attributes:
        task: Number of the task.
        label: Name of the step, for the progress display.
    """

    task: int
    label: str


@dataclass(frozen=True)
class Kept:
    """A batch has been saved in the run's folder."""

    unit: UnitId
    batch: int


@dataclass(frozen=True)
class Failure:
    """Something that could not be measured.

    Attributes:
        what: The unit or network.
        why: The error message.
    """

    what: str
    why: str


Message = Said | Taken | Began | Kept
Tell = Callable[[Message], None]


@dataclass(frozen=True)
class Assignment:
    """A numbered task for one worker.

    Attributes:
        number: Unique among the tasks of the run.
        task: The work.
        threads: Number of threads for the computation.
    """

    number: int
    task: Task
    threads: int


@dataclass(frozen=True)
class _Telling:
    """Progress that is sent to the process that created the task."""

    assignment: Assignment
    tell: Tell

    def say(self, message: str) -> None:
        """Forwards the message."""
        self.tell(Said(message))

    def start(self, label: str, total: int, unit: str = "tokens") -> None:  # noqa: ARG002 (all workers share one bar)
        """Reports the start of a step."""
        self.tell(Began(self.assignment.number, label))

    def relabel(self, label: str) -> None:
        """Reports the start of a step."""
        self.tell(Began(self.assignment.number, label))

    def advance(self, done: int, *, computed: bool) -> None:
        """Does nothing: each saved batch is reported by its own message."""


def work(assignment: Assignment, tell: Tell) -> tuple[Failure, ...]:
    """Carries out a task.

    Args:
        assignment: The task.
        tell: Sends a message to the process that created the task.

    Returns:
        Everything that could not be measured.
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
    """The task with records of this process in place of the sender's."""
    task, here = assignment.task, {}
    for place, record in _records(task).items():
        session = session_of(task.group.device, record.session["sources"])
        more = {"data": record.session["data"], "machine": platform.node()}
        here[place] = Record(record.folder, session | more)
    units = (replace(unit, record=here[str(unit.record.folder.place)]) for unit in task.group.units)
    return replace(task, group=replace(task.group, units=tuple(units)))


def _records(task: Task) -> dict[str, Record]:
    """The task's records, by run folder."""
    return {str(unit.record.folder.place): unit.record for unit in task.group.units}


def _measure(unit: Unit, task: Task, network: LazyNetwork, tell: Tell) -> Iterator[Failure]:
    """Measures and saves the batches of a unit that belong to a task; yields failures."""
    folder, wanted = unit.record.folder, set(task.piece[unit.id])
    if not folder.storage.exists(MANIFEST):
        raise RunFolderError(
            f"{platform.node()} cannot access {folder.place}: choose an --output that all nodes share, such as "
            "s3://BUCKET/FOLDER"
        )
    there = set(range(len(unit.sizes))) if is_there(unit) else unit.store.batches()
    for number in sorted(wanted & there):  # saved by a worker that was lost
        tell(Kept(unit.id, number))
    left, failed, one_by_one = wanted - there, 0, False
    if left:
        network.get()  # an error in loading fails the whole task
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
            if not one_by_one:  # measure the first remaining batch alone to see whether it is the one that fails
                one_by_one = True
                continue
            yield Failure(unit.label, str(error))
            left, failed, one_by_one = left - now, failed + 1, False
            if failed == _MOST_FAILURES and left:
                yield Failure(unit.label, f"{len(left):,} more batches were skipped because {failed} failed")
                return


def _kept(unit: Unit, wanted: Collection[int], network: LazyNetwork) -> Iterator[int]:
    """Measures and saves batches, and yields their numbers."""
    loaded = network.get()
    unit.record.begin(unit.name, unit.about, network.progress)
    network.progress.start(unit.label, 0)
    for number, rows in unit.measure(loaded, set(range(len(unit.sizes))) - set(wanted)):
        unit.store.keep(number, rows)
        yield number
