"""Engines carry out groups of units, either in this process or on the workers of a Ray cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from rankscope.models import resolve_device
from rankscope.runs.carry_out import carry_out
from rankscope.runs.distributed import RayEngine
from rankscope.runs.shards import Shard, carry_out_shard

if TYPE_CHECKING:
    from rankscope.execution import Execution
    from rankscope.runs.carry_out import Group
    from rankscope.runs.progress import Progress


class Engine(Protocol):
    """Carries out runs."""

    @property
    def progress(self) -> Progress:
        """Receives progress."""

    @property
    def is_whole(self) -> bool:
        """Whether `carry_out` completes a run, rather than a shard of it."""

    @property
    def device_of(self) -> Callable[[str], str]:
        """Function that resolves a device setting, such as `auto` to `cuda`.

        Raises:
            SettingsError: the device is not available (raised by the function).
        """

    def carry_out(self, groups: Iterable[Group]) -> None:
        """Measures the missing units of a run.

        Raises:
            RankscopeError: as for `rankscope.runs.carry_out.carry_out`.
        """


@dataclass(frozen=True)
class LocalEngine:
    """Carries out runs in this process.

    Attributes:
        progress: Receives progress.
        shard: The shard of the run to measure. Default: the whole run.
    """

    progress: Progress
    shard: Shard | None = None

    @property
    def is_whole(self) -> bool:
        """Whether the whole run is measured, not only a shard."""
        return self.shard is None

    @property
    def device_of(self) -> Callable[[str], str]:
        """`resolve_device`: devices of this machine."""
        return resolve_device

    def carry_out(self, groups: Iterable[Group]) -> None:
        """Measures the missing units of the run or shard."""
        if self.shard is None:
            carry_out(groups, self.progress)
        else:
            carry_out_shard(list(groups), self.shard, self.progress)


@contextmanager
def opened_engine(execution: Execution, progress: Progress) -> Iterator[Engine]:
    """Opens the engine selected by `execution` for the duration of the context.

    Raises:
        SettingsError: there is no Ray cluster at the address, or the shard is not valid.
        MissingExtraError: Ray is not installed.
    """
    if execution.engine == "local":
        yield LocalEngine(progress, None if execution.shard is None else Shard.of(execution.shard, progress.say))
        return
    from rankscope.integrations.ray_connection import connected_cluster

    with connected_cluster(execution.address, execution.worker_cpus) as cluster:
        yield RayEngine(cluster, execution.worker_cpus, progress)
