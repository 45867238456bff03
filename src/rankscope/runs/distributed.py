"""The Ray engine: workers of a cluster measure the missing batches of a run, and this process joins them.

Each round divides the missing work into tasks and waits for all of them. Most runs take one round. A second round is
needed for results that depend on whole units. Twins shared by several models are measured once, in the first round,
and adopted afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from rankscope.errors import RankscopeError, SettingsError
from rankscope.runs.board import Board
from rankscope.runs.carry_out import is_there
from rankscope.runs.tasks import Task, cut
from rankscope.runs.worker import Assignment, Failure, work

if TYPE_CHECKING:
    from rankscope.integrations.ray import Call, Needs, RayCluster
    from rankscope.runs.carry_out import Group, Unit, UnitId
    from rankscope.runs.progress import Progress

_DEVICES = ("auto", "cpu", "cuda", "spread")
_PROCESS = 768 << 20  # bytes of a worker without a network
_BESIDE_WEIGHTS = 1.25  # bytes of memory of a network on a CPU per byte of its weights
_STEP = 1 << 30  # memory is rounded up to multiples of this, as tasks with equal needs can share workers
Gaps = dict["UnitId", frozenset[int]]


@dataclass(frozen=True)
class RayEngine:
    """Carries out runs on the workers of a Ray cluster.

    Attributes:
        cluster: The connected cluster.
        cpus: Number of CPUs of each worker.
        progress: Receives progress.
    """

    cluster: RayCluster
    cpus: int
    progress: Progress

    @property
    def is_whole(self) -> bool:
        """True: the engine carries out whole runs."""
        return True

    @property
    def device_of(self) -> Callable[[str], str]:
        """Function that resolves a device setting for the cluster's nodes; `auto` is a GPU if any node has one."""
        return self._device_of

    def _device_of(self, asked: str) -> str:
        if asked not in _DEVICES:
            raise SettingsError(
                f"Ray selects the devices of a node: device must be {', '.join(_DEVICES)}, got {asked!r}"
            )
        if asked == "auto":
            return "cuda" if self._gpus_of_a_node else "cpu"
        if asked != "cpu" and self.cluster.is_ours and not self._gpus_of_a_node:
            raise SettingsError(f"this machine has no GPU for device {asked!r}: use cpu, or --address of a cluster")
        return asked

    @property
    def _gpus_of_a_node(self) -> int:
        return max((int(node.get("GPU", 0)) for node in self.cluster.nodes()), default=0)

    def carry_out(self, groups: Iterable[Group]) -> None:
        """Measures the missing units of a run.

        Raises:
            SettingsError: no worker of this machine has enough resources for a network.
            RankscopeError: parts of the run could not be measured; the other parts have been.
        """
        groups = list(groups)
        units = [unit for group in groups for unit in group.units]
        gaps = self._join(units)
        now = _without_shared(units, gaps)
        while gaps:
            failures = self._measure(groups, now)
            before, gaps = gaps, self._join(units)
            if failures:
                raise RankscopeError(_in_words(failures))
            if gaps == before:
                raise RankscopeError(f"workers measured nothing of {next(iter(gaps))[1]} and reported no reason")
            now = gaps

    def _join(self, units: Iterable[Unit]) -> Gaps:
        """Finishes or adopts the units for which that is possible; returns the missing batches of the others.

        A unit without missing batches is returned if it needs a network to be finished.
        """
        gaps: Gaps = {}
        units = list(units)
        every = {count: frozenset(range(count)) for count in {len(unit.sizes) for unit in units}}
        for unit in units:
            if is_there(unit):
                continue
            missing, there = every[len(unit.sizes)], unit.store.batches()
            if there:  # otherwise, units that have not been started share one set
                missing -= there
            if missing or unit.needs_network_after:
                if len(missing) < len(unit.sizes) or not unit.adopt(None):
                    gaps[unit.id] = missing
                continue
            with unit.record.folder.claim(unit.name, wait=True):
                unit.store.finish(unit.about)
                unit.after(_no_network, self.progress)
        return gaps

    def _measure(self, groups: Sequence[Group], gaps: Gaps) -> list[Failure]:
        """Lets workers measure the missing batches, waits for them, and returns all failures."""
        tasks = self._tasks(groups, gaps)
        for remark in dict.fromkeys(unit.remark for task in tasks for unit in task.group.units if unit.remark):
            self.progress.say(remark)
        board = Board.of([unit for group in groups for unit in group.units], gaps, self.progress)
        failures: list[Failure] = []
        with closing(self.cluster.run(self._calls(tasks), board.see)) as calls:
            for done in calls:
                assignment: Assignment = done.call.argument
                board.end(assignment.number)
                found = done.result if done.failure is None else (Failure(assignment.task.name, done.failure),)
                for failure in found:
                    if failure not in failures:
                        failures.append(failure)
                        self.progress.say(f"failed: {failure.what}: {failure.why}")
        return failures

    def _tasks(self, groups: Sequence[Group], gaps: Gaps) -> list[Task]:
        """Divides the missing batches into tasks, and adds tasks for units that only need to be finished."""
        needs = list(dict.fromkeys(map(self._needs, groups)))
        workers = [self.cluster.workers(one) for one in needs]
        for one, count in zip(needs, workers, strict=True):
            if not count and self.cluster.is_ours:
                raise SettingsError(f"no worker on this machine has {one}: use a smaller dtype or another machine")
            if not count:
                self.progress.say(f"no node currently has {one}: waiting for one to join the cluster")
        tasks = cut(groups, gaps, max(min(workers), 1))
        for group in groups:
            to_end = tuple(unit for unit in group.units if gaps.get(unit.id) == frozenset())
            if to_end:
                tasks.append(Task(replace(group, units=to_end), {}, 0))
        return tasks

    def _calls(self, tasks: Iterable[Task]) -> Iterator[Call]:
        """Yields one call for each task; its data is prepared only when it is requested."""
        from rankscope.integrations.ray import Call

        for number, task in enumerate(tasks):
            assignment = Assignment(number, task.to_send(), self.cpus)
            yield Call(task.name, work, assignment, self._needs(task.group))

    def _needs(self, group: Group) -> Needs:
        """The resources that a worker needs for a group's network."""
        from rankscope.integrations.ray import Needs

        gpus = {"spread": self._gpus_of_a_node, "cuda": 1}.get(group.device, 0)
        memory = _PROCESS + (0 if gpus else int(_BESIDE_WEIGHTS * group.size))
        return Needs(self.cpus, gpus, -(-memory // _STEP) * _STEP)


def _without_shared(units: Sequence[Unit], gaps: Gaps) -> Gaps:
    """The gaps without units that can adopt the measurements of an earlier unit."""
    seen: set[str] = set()
    now: Gaps = {}
    for unit in units:
        if unit.id not in gaps or unit.shared in seen:
            continue
        now[unit.id] = gaps[unit.id]
        if unit.shared is not None:
            seen.add(unit.shared)
    return now


def _no_network() -> None:
    """Stands for the network in `after`: units that need one are finished by workers."""
    raise AssertionError


def _in_words(failures: Sequence[Failure]) -> str:
    first, count = failures[0], len(failures)
    what = "one part of the run" if count == 1 else f"{count:,} parts of the run"
    return (
        f"{what} could not be measured ({first.what}: {first.why}); everything else was measured and saved: run the "
        "same command again to retry"
    )
