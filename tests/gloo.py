"""A function in several processes that talk through gloo, with a time limit."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed

from processes import context


def in_processes(
    work: Callable[[int], Any], count: int, folder: Path, *, seconds: float = 120, killed: tuple[int, ...] = ()
) -> list[Any]:
    """What the function, at the top of an importable module, returns in each process that is not to be killed."""
    processes = [context().Process(target=_join, args=(work, rank, count, folder)) for rank in range(count)]
    for process in processes:
        process.start()
    deadline = time.monotonic() + seconds
    for process in processes:
        process.join(timeout=max(0.0, deadline - time.monotonic()))
    hung = [process for process in processes if process.is_alive()]
    for process in hung:
        process.kill()
    assert not hung, f"{len(hung)} of {count} processes did not end within {seconds} seconds"
    assert [process.exitcode for process in processes] == [-9 if rank in killed else 0 for rank in range(count)]
    return [torch.load(folder / f"{rank}.pt") for rank in range(count) if rank not in killed]


def _join(work: Callable[[int], object], rank: int, count: int, folder: Path) -> None:
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=count, timeout=timedelta(seconds=60)
    )
    torch.save(work(rank), folder / f"{rank}.pt")
    torch.distributed.destroy_process_group()
