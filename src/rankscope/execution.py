"""Where and how a run is computed; this does not affect its numbers."""

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
        address: The Ray cluster: HOST:PORT, or auto for the cluster that this machine belongs to. Default: start
            workers on this machine, one per GPU, or one per CPU core if there are no GPUs.
        worker_cpus: CPU cores and threads per Ray worker.
        shard: Measure only one shard of the run: i/n, from 0/n to n-1/n, or auto in a Slurm array.
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
                raise SettingsError("engine 'ray' divides a run among its workers: omit shard")
        elif self.address is not None or self.worker_cpus != 1:
            raise SettingsError("address and worker_cpus require engine 'ray': add engine='ray' (--engine ray)")


def split_execution(execution: Execution | None, changes: Mapping[str, object]) -> tuple[Execution, dict[str, object]]:
    """Separates the fields of `Execution` from the other named arguments of a call.

    Args:
        execution: base values; `Execution()` if None.
        changes: arguments by name.

    Returns:
        The execution with its changes, and the remaining arguments.

    Raises:
        SettingsError: an invalid value.
    """
    names = {field.name for field in dataclasses.fields(Execution)}
    ours: dict[str, Any] = {name: value for name, value in changes.items() if name in names}
    left = {name: value for name, value in changes.items() if name not in names}
    return dataclasses.replace(execution or Execution(), **ours), left
