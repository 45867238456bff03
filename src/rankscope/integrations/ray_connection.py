"""Connects to a Ray cluster, or starts one on this machine, without Ray's own output."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rankscope.errors import SettingsError, first_line
from rankscope.integrations.ray import ALONE, RETRIES, RayCluster, load_ray

if TYPE_CHECKING:
    from types import ModuleType

_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_task_oom_retries": str(RETRIES),
    "RAY_idle_worker_killing_time_threshold_ms": "60000",  # a new worker would need seconds to repeat its imports
}
_PRINTS = "print_to_stdstream"
_OBJECT_STORE = 512 << 20  # of a cluster on this machine: it holds only arguments, and can spill to disk
_SECONDS_TO_ANSWER = 10.0
_SECONDS_FOR_STATUS = 30.0
_ADDRESS_VARIABLE = "RAY_ADDRESS"


@contextmanager
def connected_cluster(address: str | None, cpus: int) -> Iterator[RayCluster]:
    """Connects this process to a cluster, and disconnects afterwards.

    A process that is already connected stays connected.

    Args:
        address: `HOST:PORT`, or `auto` for the cluster that this machine belongs to. By default the address in
            `RAY_ADDRESS`, else a new cluster on this machine alone, which is shut down afterwards.
        cpus: needed by a worker; a cluster on this machine has at least this many.

    Raises:
        MissingExtraError: Ray is not installed.
        SettingsError: there is no cluster at the address.
    """
    ray = load_ray()
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
    """Keeps Ray's reports of lost workers off standard output; Ray has no setting for it."""
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
        ray.init("local", num_cpus=max(cores, cpus), object_store_memory=_OBJECT_STORE, resources={ALONE: 1}, **quiet)
        return
    if where != "auto":
        _check_address(where)
    try:
        ray.init(where, **quiet)
    except Exception as error:  # errors of Ray and gRPC
        raise SettingsError(f"cannot use the Ray cluster at {where}: {first_line(error)}") from error


def _check_address(address: str) -> None:
    """Refuses an address without a server, which Ray would retry for minutes."""
    host, _, port = address.rpartition(":")
    if "://" in address or not host or not port.isdecimal():
        raise SettingsError(
            f"the address of a Ray cluster must be HOST:PORT, such as 10.0.0.1:6379, or auto on a node, got {address!r}"
        )
    hint = "'ray start --head' prints the address, which must be reachable from this machine"
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_SECONDS_TO_ANSWER).close()
    except (OSError, OverflowError) as error:
        raise SettingsError(f"no Ray cluster answers at {address} ({error}): {hint}") from error
    if not _is_ray(address):
        raise SettingsError(f"the server at {address} is not a Ray cluster: {hint}")


def _is_ray(address: str) -> bool:
    """Queries the cluster's status in another process: Ray itself would retry for minutes, and flood the terminal."""
    command = [sys.executable, "-m", "ray.scripts.scripts", "status", "--address", address]
    try:
        return subprocess.run(command, capture_output=True, timeout=_SECONDS_FOR_STATUS, check=False).returncode == 0  # noqa: S603 (ours)
    except subprocess.TimeoutExpired:
        return False
