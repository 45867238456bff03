"""Where and how a run is computed; none of its numbers depends on it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from rankscope.errors import SettingsError
from rankscope.setting_values import at_least, one_of

Engine = Literal["local", "ray"]


@dataclass(frozen=True)
class Execution:
    """Where and how a run is computed.

    Attributes:
        engine: local: in this process. ray: on the workers of a Ray cluster.
        address: The Ray cluster: HOST:PORT, or auto for the one that this machine belongs to. Left out: workers on
            this machine, one for each GPU or, without GPUs, for each CPU core.
        worker_cpus: CPU cores for each Ray worker, which computes with as many threads.
        shard: Measure one piece of the run only: i/n, from 0/n to n-1/n, or auto in a Slurm array.
    """

    engine: Engine = "local"
    address: str | None = None
    worker_cpus: int = 1
    shard: str | None = None

    def __post_init__(self) -> None:
        one_of("engine", self.engine, get_args(Engine))
        at_least("worker_cpus", self.worker_cpus, 1)
        if self.engine == "ray":
            if self.shard is not None:
                raise SettingsError("engine 'ray' divides a run among its workers: leave shard out")
        elif self.address is not None or self.worker_cpus != 1:
            raise SettingsError("address and worker_cpus are for engine 'ray': give engine='ray' (--engine ray), too")


def split_execution(execution: Execution | None, changes: Mapping[str, object]) -> tuple[Execution, dict[str, object]]:
    """Takes what belongs to an `Execution` out of the named arguments of a call.

    Args:
        execution: to begin with; the usual one if left out.
        changes: arguments by name.

    Returns:
        The execution with its changes, and the arguments that are left.

    Raises:
        SettingsError: a value that cannot be.
    """
    names = {field.name for field in dataclasses.fields(Execution)}
    ours: dict[str, Any] = {name: value for name, value in changes.items() if name in names}
    left = {name: value for name, value in changes.items() if name not in names}
    return dataclasses.replace(execution or Execution(), **ours), left
