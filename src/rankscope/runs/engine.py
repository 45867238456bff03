"""Engines: this process, or the workers of a Ray cluster, carry out the same groups of units."""

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
        """Told of progress."""

    @property
    def is_whole(self) -> bool:
        """Whether a run is finished when it has been carried out."""

    @property
    def device_of(self) -> Callable[[str], str]:
        """The device that a setting means, such as `cuda` for `auto`.

        Raises:
            SettingsError: there is no such device.
        """

    def carry_out(self, groups: Iterable[Group]) -> None:
        """Measures what is missing of a run.

        Raises:
            RankscopeError: as `carry_out`.
        """


@dataclass(frozen=True)
class LocalEngine:
    """This process.

    Attributes:
        progress: told of progress.
        shard: the piece of each run to measure; all of it if left out.
    """

    progress: Progress
    shard: Shard | None = None

    @property
    def is_whole(self) -> bool:
        """Whether it measures more than a shard."""
        return self.shard is None

    @property
    def device_of(self) -> Callable[[str], str]:
        """As `resolve_device`."""
        return resolve_device

    def carry_out(self, groups: Iterable[Group]) -> None:
        """Measures what is missing of a run, or of its shard."""
        if self.shard is None:
            carry_out(groups, self.progress)
        else:
            carry_out_shard(list(groups), self.shard, self.progress)


@contextmanager
def opened_engine(execution: Execution, progress: Progress) -> Iterator[Engine]:
    """The engine that a call asks for, while the context lasts.

    Raises:
        SettingsError: there is no Ray cluster at the address, or no such shard.
        MissingExtraError: Ray is not installed.
    """
    if execution.engine == "local":
        yield LocalEngine(progress, None if execution.shard is None else Shard.of(execution.shard, progress.say))
        return
    from rankscope.integrations.ray_connection import connected_cluster

    with connected_cluster(execution.address, execution.worker_cpus) as cluster:
        yield RayEngine(cluster, execution.worker_cpus, progress)
