"""Ray: calls of functions on the workers of a cluster, a bounded number at a time. What they compute is not known here.

Ray places the calls, starts them again where a worker or a node is lost, and ends them with the process that made
them.
"""

from __future__ import annotations

import os
import pickle
import socket
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rankscope.errors import MissingExtraError, RankscopeError, SettingsError, first_line

if TYPE_CHECKING:
    from types import ModuleType

Tell = Callable[[Any], None]
"""Takes a message to the process that made the call."""

_ADDRESS_VARIABLE = "RAY_ADDRESS"
_RETRIES = 10  # of a call whose worker or node is lost, or runs out of memory
_SECONDS_TO_ANSWER = 10.0
_SECONDS_BETWEEN_LOOKS = 0.5
_AHEAD = 2  # calls that are under way or wait at Ray, for each worker
_OBJECT_STORE = 512 << 20  # of a cluster on this machine: only arguments lie there, and they can go to its disk
_ALONE = "rankscope-alone"
"""A resource that marks a cluster of one machine which was started here."""
_LOST = "the Ray cluster is gone; what was finished is kept: give the same command again when there is one"
_PRINTS = "print_to_stdstream"
_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_task_oom_retries": str(_RETRIES),
}


@dataclass(frozen=True)
class Needs:
    """What a worker has to itself while it computes.

    Attributes:
        cpus: cores.
        gpus: whole ones.
        memory: in bytes.
    """

    cpus: int = 1
    gpus: int = 0
    memory: int = 0

    def fitting(self, resources: dict[str, float]) -> int:
        """How many such workers a node with these resources holds."""
        asked = {"CPU": self.cpus, "GPU": self.gpus, "memory": self.memory}
        return min(int(resources.get(name, 0) // amount) for name, amount in asked.items() if amount)

    def __str__(self) -> str:
        told = [f"{self.cpus} CPU {'core' if self.cpus == 1 else 'cores'}"]
        told += [f"{self.gpus} {'GPU' if self.gpus == 1 else 'GPUs'}"] if self.gpus else []
        told += [f"{self.memory / (1 << 30):.1f} GiB of memory"] if self.memory else []
        return ", ".join(told)


@dataclass(frozen=True)
class Call:
    """A function to be called on a worker.

    Attributes:
        name: for people.
        function: of the argument, and of what takes messages to the process that made the call.
        argument: sent to the worker.
        needs: of the worker.
    """

    name: str
    function: Callable[[Any, Tell], Any]
    argument: Any
    needs: Needs


@dataclass(frozen=True)
class Done:
    """What came of a call.

    Attributes:
        call: which one.
        result: what the function returned.
        failure: why there is none: the worker was lost too often, or the function raised an error.
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
        return any(_ALONE in node for node in self.nodes())

    def nodes(self) -> list[dict[str, float]]:
        """What each node that is alive has in total, by Ray's names: `CPU`, `GPU`, `memory`.

        Raises:
            RankscopeError: none is alive.
        """
        alive = [node["Resources"] for node in _ray().nodes() if node["Alive"]]
        if not alive:
            raise RankscopeError(_LOST)
        return alive

    def workers(self, needs: Needs) -> int:
        """How many workers with such needs the cluster holds at present."""
        return sum(needs.fitting(node) for node in self.nodes())

    def run(self, calls: Iterable[Call], told: Tell) -> Generator[Done]:
        """Has calls carried out, and yields each when it is done.

        A call is taken from `calls` when there is room for it, so that few arguments are in memory at a time. Where
        the loop over what is yielded ends early, calls that are under way are stopped.

        Args:
            calls: in the order in which they should begin.
            told: called in this process with what functions tell.

        Raises:
            RankscopeError: the cluster is gone, or the node that this process is on.
        """
        ray = _ray()
        queue = _queue(ray)
        remote = ray.remote(_on_a_worker)
        waiting, running = iter(calls), dict[Any, Call]()
        try:
            while True:
                while len(running) < self._limit(running) and (call := next(waiting, None)) is not None:
                    options = {"num_cpus": call.needs.cpus, "num_gpus": call.needs.gpus, "memory": call.needs.memory}
                    task = remote.options(**options, name=call.name, max_retries=_RETRIES, retry_exceptions=False)
                    running[task.remote(call.function, call.argument, str(Path.cwd()), queue)] = call
                if not running:
                    return
                ready, _ = ray.wait(list(running), num_returns=1, timeout=_SECONDS_BETWEEN_LOOKS)
                for message in _messages(ray, queue):
                    told(message)
                for task in ready:
                    yield _done(ray, running.pop(task), task)
        finally:
            for task in running:
                ray.cancel(task, force=True)
            queue.shutdown(force=True)

    def _limit(self, running: dict[Any, Call]) -> int:
        """So many calls at a time that no worker waits for one, and that Ray sees where the cluster should grow."""
        workers = max((self.workers(needs) for needs in {call.needs for call in running.values()}), default=1)
        return _AHEAD * max(workers, 1)


@contextmanager
def connected_cluster(address: str | None, cpus: int) -> Iterator[RayCluster]:
    """Connects this process to a cluster, and ends the connection afterwards.

    A process that is connected already stays so, before and after.

    Args:
        address: `HOST:PORT`, or `auto` for the cluster that this machine belongs to. Left out: what `RAY_ADDRESS`
            says, else a cluster of this machine alone, which ends afterwards.
        cpus: that a worker needs; a cluster of this machine has at least these.

    Raises:
        MissingExtraError: Ray is not installed.
        SettingsError: there is no cluster at the address.
    """
    ray = _ray()
    if ray.is_initialized():
        yield RayCluster()
        return
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    where = address or os.environ.get(_ADDRESS_VARIABLE) or "local"
    quiet = {"include_dashboard": False, "logging_level": "ERROR", "log_to_driver": False}
    _connect(ray, where, quiet, cpus)
    try:
        with _silenced():
            yield RayCluster()
    finally:
        ray.shutdown()


@contextmanager
def _silenced() -> Iterator[None]:
    """Keeps Ray's reports of lost workers off standard output, for which it has no setting of its own."""
    from ray._private import worker

    printing = getattr(worker, _PRINTS, None)
    setattr(worker, _PRINTS, lambda *_, **__: None)
    try:
        yield
    finally:
        setattr(worker, _PRINTS, printing)


def _connect(ray: ModuleType, where: str, quiet: dict[str, Any], cpus: int) -> None:
    if where == "local":
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        ray.init("local", num_cpus=max(cores, cpus), object_store_memory=_OBJECT_STORE, resources={_ALONE: 1}, **quiet)
        return
    if where != "auto":
        _check_address(where)
    try:
        ray.init(where, **quiet)
    except Exception as error:  # Ray's own kinds, and those of gRPC
        raise SettingsError(f"cannot use the Ray cluster at {where}: {first_line(error)}") from error


def _check_address(address: str) -> None:
    """Refuses an address at which nobody answers, which Ray would try for minutes."""
    host, _, port = address.rpartition(":")
    if "://" in address or not host or not port.isdecimal():
        raise SettingsError(
            f"a Ray cluster's address is HOST:PORT, such as 10.0.0.1:6379, or auto on one of its nodes, got {address!r}"
        )
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_SECONDS_TO_ANSWER).close()
    except (OSError, OverflowError) as error:
        raise SettingsError(
            f"no Ray cluster answers at {address} ({error}): 'ray start --head' prints the address, and this machine "
            "has to reach it"
        ) from error


def _ray() -> ModuleType:
    try:
        import ray
    except ImportError as error:
        raise MissingExtraError("ray", "ray") from error
    module: ModuleType = ray
    return module


def _queue(ray: ModuleType) -> Any:
    """What messages of workers go through: an actor beside this process, so that it is lost with it and not before."""
    from ray.util.queue import Queue
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    return Queue(actor_options={"num_cpus": 0, "scheduling_strategy": here})


def _messages(ray: ModuleType, queue: Any) -> list[Any]:
    """All that have come."""
    try:
        return list(map(pickle.loads, queue.get_nowait_batch(queue.qsize())))
    except ray.exceptions.RayError as error:
        raise RankscopeError(_LOST) from error


def _on_a_worker(function: Callable[[Any, Tell], Any], argument: Any, directory: str, queue: Any) -> Any:
    """What a worker does for a call: paths mean there what they mean in the process that made it."""
    if Path(directory).is_dir():
        os.chdir(directory)
    return function(argument, lambda message: queue.put(pickle.dumps(message)))


def _done(ray: ModuleType, call: Call, task: Any) -> Done:
    try:
        return Done(call, ray.get(task))
    except ray.exceptions.RayTaskError as error:
        return Done(call, failure=first_line(error.cause if isinstance(error.cause, BaseException) else error))
    except ray.exceptions.RayError as error:
        return Done(call, failure=f"its worker was lost {_RETRIES + 1} times: {first_line(error)}")
