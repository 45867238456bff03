"""Ray: function calls on the workers of a cluster, a bounded number at a time, whatever the functions compute.

Ray schedules the calls, restarts them if a worker or node is lost, and ends them with the process that made them.
"""

from __future__ import annotations

import os
import pickle
import time
import uuid
from collections import Counter
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rankscope.errors import MissingExtraError, RankscopeError, first_line

if TYPE_CHECKING:
    from types import ModuleType

Tell = Callable[[Any], None]
"""Sends a message to the process that made the call."""

RETRIES = 10  # of a call whose worker or node was lost or ran out of memory
_SECONDS_BETWEEN_LOOKS = 0.5
_SECONDS_FOR_MESSAGES = 5.0
_AHEAD = 2  # calls per worker that are running or queued
ALONE = "rankscope-alone"
"""A resource that marks a single-machine cluster started by rankscope."""
_LOST = "lost the Ray cluster; finished work is saved: run the same command again when a cluster is available"


@dataclass(frozen=True)
class Needs:
    """Resources reserved for a worker while it computes.

    Attributes:
        cpus: number of cores.
        gpus: number of whole GPUs.
        memory: in bytes.
    """

    cpus: int = 1
    gpus: int = 0
    memory: int = 0

    def fitting(self, resources: dict[str, float]) -> int:
        """The number of such workers that a node with these resources can run."""
        asked = {"CPU": self.cpus, "GPU": self.gpus, "memory": self.memory}
        return min(int(resources.get(name, 0) // amount) for name, amount in asked.items() if amount)

    def __str__(self) -> str:
        parts = [f"{self.cpus} CPU {'core' if self.cpus == 1 else 'cores'}"]
        parts += [f"{self.gpus} {'GPU' if self.gpus == 1 else 'GPUs'}"] if self.gpus else []
        parts += [f"{self.memory / (1 << 30):g} GiB of memory"] if self.memory else []
        return ", ".join(parts)


@dataclass(frozen=True)
class Call:
    """A function to call on a worker.

    Attributes:
        name: for display.
        function: takes the argument, and a function that sends messages to the calling process.
        argument: sent to the worker.
        needs: the worker's resources.
    """

    name: str
    function: Callable[[Any, Tell], Any]
    argument: Any
    needs: Needs


@dataclass(frozen=True)
class Done:
    """The outcome of a call.

    Attributes:
        call: the finished call.
        result: what the function returned.
        failure: why there is no result: the worker was lost too often, or the function raised an error.
    """

    call: Call
    result: Any = None
    failure: str | None = None


@dataclass(frozen=True)
class RayCluster:
    """The cluster that this process is connected to."""

    @property
    def is_ours(self) -> bool:
        """Whether it was started for this process, so that no node will ever join it."""
        return any(ALONE in node for node in self.nodes())

    def nodes(self) -> list[dict[str, float]]:
        """The total resources of each live node, by Ray's names: `CPU`, `GPU`, `memory`.

        Raises:
            RankscopeError: no node is alive.
        """
        alive = [node["Resources"] for node in load_ray().nodes() if node["Alive"]]
        if not alive:
            raise RankscopeError(_LOST)
        return alive

    def workers(self, needs: Needs) -> int:
        """The number of workers with such needs that the cluster can currently run."""
        return sum(needs.fitting(node) for node in self.nodes())

    def run(self, calls: Iterable[Call], told: Tell) -> Generator[Done]:
        """Runs calls, and yields each one when it is done.

        A call is taken from `calls` when there is room for it, so that few arguments are in memory at a time. If the
        caller stops iterating, running calls are cancelled.

        Args:
            calls: in the order in which they should start.
            told: called in this process with messages from the functions.

        Raises:
            RankscopeError: the cluster was lost, or the node of this process.
        """
        ray = load_ray()
        mail = _Mail.opened(ray, told)
        remote = ray.remote(_on_a_worker)
        waiting, running = iter(calls), dict[Any, Call]()
        try:
            while True:
                while len(running) < self._limit(running) and (call := next(waiting, None)) is not None:
                    options = {"num_cpus": call.needs.cpus, "num_gpus": call.needs.gpus, "memory": call.needs.memory}
                    task = remote.options(**options, name=call.name, max_retries=RETRIES, retry_exceptions=False)
                    # In a list the argument is not a dependency: calls with the same needs reuse the same worker.
                    argument = [ray.put(call.argument)]
                    running[task.remote(call.function, argument, str(Path.cwd()), mail.queue)] = call
                if not running:
                    mail.wait()
                    return
                ready, _ = ray.wait(list(running), num_returns=1, timeout=_SECONDS_BETWEEN_LOOKS)
                mail.read()
                for task in ready:
                    yield mail.done(running.pop(task), task)
        finally:
            for task in running:
                ray.cancel(task, force=True)
            mail.queue.shutdown(force=True)

    def _limit(self, running: dict[Any, Call]) -> int:
        """Limit of calls at a time: enough to keep workers busy, and to show Ray when the cluster should grow."""
        workers = max((self.workers(needs) for needs in {call.needs for call in running.values()}), default=1)
        return _AHEAD * max(workers, 1)


def load_ray() -> ModuleType:
    """The Ray library.

    Raises:
        MissingExtraError: Ray is not installed.
    """
    try:
        import ray
    except ImportError as error:
        raise MissingExtraError("ray", "ray") from error
    module: ModuleType = ray
    return module


@dataclass
class _Mail:
    """Messages from workers, which go through a Ray queue.

    A worker does not wait for a message to arrive: meanwhile, Ray would give its cores to another task. So messages may
    arrive after the result of the call that sent them.

    Attributes:
        ray: the library.
        queue: an actor on this process's node, so that both are lost together.
        told: called with each message.
    """

    ray: ModuleType
    queue: Any
    told: Tell
    _received: Counter[str] = field(default_factory=Counter)
    _sent: dict[str, int] = field(default_factory=dict)

    @classmethod
    def opened(cls, ray: ModuleType, told: Tell) -> _Mail:
        """Opens a mailbox with its own queue."""
        from ray.util.queue import Queue
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        return cls(ray, Queue(actor_options={"num_cpus": 0, "scheduling_strategy": here}), told)

    def read(self) -> None:
        """Passes on all messages that have arrived.

        Raises:
            RankscopeError: the queue is lost.
        """
        try:
            arrived = self.queue.get_nowait_batch(self.queue.qsize())
        except self.ray.exceptions.RayError as error:
            raise RankscopeError(_LOST) from error
        for sender, message in arrived:
            self._received[sender] += 1
            self.told(pickle.loads(message))  # noqa: S301 (our own)

    def done(self, call: Call, task: Any) -> Done:
        """The outcome of a call."""
        try:
            sender, count, result = self.ray.get(task)
        except self.ray.exceptions.RayTaskError as error:
            return Done(call, failure=first_line(error.cause if isinstance(error.cause, BaseException) else error))
        except self.ray.exceptions.RayError as error:
            return Done(call, failure=f"its worker was lost {RETRIES + 1} times: {first_line(error)}")
        self._sent[sender] = count
        return Done(call, result)

    def wait(self) -> None:
        """Reads until all messages of finished calls have arrived, or for a few seconds: some may be lost."""
        until = time.monotonic() + _SECONDS_FOR_MESSAGES
        self.read()
        while any(self._received[sender] < count for sender, count in self._sent.items()) and time.monotonic() < until:
            time.sleep(_SECONDS_BETWEEN_LOOKS / 10)
            self.read()


def _on_a_worker(
    function: Callable[[Any, Tell], Any], argument: list[Any], directory: str, queue: Any
) -> tuple[str, int, Any]:
    """Runs a call on a worker; returns the worker's name, the number of messages sent, and the result.

    Relative paths mean the same on a worker as in the process that made the call.
    """
    if Path(directory).is_dir():
        os.chdir(directory)
    sender, sent = uuid.uuid4().hex, count()

    def tell(message: Any) -> None:
        queue.actor.put_nowait.remote((sender, pickle.dumps(message)))
        next(sent)

    result = function(load_ray().get(argument[0]), tell)
    return sender, next(sent), result
