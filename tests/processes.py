"""Processes that start at once: forked from a server that has imported torch, transformers and rankscope.

A process of its own can be killed, meets locks, and has standard streams and limits of its own. To start Python anew
as well costs seconds, which only what concerns the start itself is worth.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import runpy
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path

_IMPORTED = [
    "altair",
    "pytest",
    "rankscope.cli",
    "rankscope.monitoring",
    "rankscope.reports",
    "torch.distributed",
    "transformers.models.gpt_neox.modeling_gpt_neox",
    "transformers.models.llama.modeling_llama",
    "transformers.trainer",
]


def context() -> ForkServerContext:
    """What makes processes, queues and barriers."""
    found = multiprocessing.get_context("forkserver")
    found.set_forkserver_preload(_IMPORTED)
    return found


@dataclass(frozen=True)
class Ended:
    """What a process left behind."""

    status: int
    stdout: bytes
    stderr: bytes


@contextmanager
def started(work: Callable[..., object], *arguments: object, log: Path | None = None) -> Iterator[ForkServerProcess]:
    """A function, at the top of an importable module, in a process that does not outlive the block.

    Args:
        work: the function.
        arguments: which it is called with.
        log: takes what it says; without, that is mixed with what the tests say.
    """
    if log is not None:
        log.touch()
    process = context().Process(target=_with_streams, args=(work, arguments, dict(os.environ), log, log))
    process.start()
    try:
        yield process
    finally:
        process.kill()
        process.join()


def wait_for(process: ForkServerProcess, seconds: float = 120) -> int:
    """The status that a process ends with in time."""
    process.join(seconds)
    assert process.exitcode is not None, f"not ended after {seconds} seconds"
    return process.exitcode


def wait_until(condition: Callable[[], object], process: ForkServerProcess, log: Path, seconds: float = 120) -> None:
    """Waits for a condition that a running process brings about."""
    end = time.monotonic() + seconds
    while not condition():
        assert process.is_alive(), log.read_text()[-3000:]
        assert time.monotonic() < end, log.read_text()[-3000:]
        time.sleep(0.005)


def kill(process: ForkServerProcess) -> None:
    """As the kernel does when memory runs out."""
    process.kill()
    assert wait_for(process) == -signal.SIGKILL


def rankscope(*arguments: object) -> None:
    """The command, in this process; for `started`."""
    from rankscope.cli import main

    sys.argv = ["rankscope", *map(str, arguments)]
    main()


def script(file: Path, *arguments: object) -> None:
    """A file of Python as a script, in this process; for `started`."""
    sys.argv = [str(file), *map(str, arguments)]
    runpy.run_path(str(file), run_name="__main__")


def run_command(folder: Path, *arguments: object, stdout: Path | None = None) -> Ended:
    """Runs the command in a process of its own.

    Args:
        folder: for files of what it says.
        arguments: of the command.
        stdout: where standard output goes instead.
    """
    out, err = folder / "stdout", folder / "stderr"
    for file in (out, err):
        file.write_bytes(b"")
    process = context().Process(target=_with_streams, args=(rankscope, arguments, dict(os.environ), stdout or out, err))
    process.start()
    try:
        return Ended(wait_for(process), out.read_bytes(), err.read_bytes())
    finally:
        process.kill()
        process.join()


def _with_streams(
    work: Callable[..., object],
    arguments: tuple[object, ...],
    environment: Mapping[str, str],
    stdout: Path | None,
    stderr: Path | None,
) -> None:
    gc.freeze()  # a collection would copy all that is shared with the server
    os.environ.clear()  # the server's is of its start
    os.environ.update(environment)
    for descriptor, place in ((1, stdout), (2, stderr)):
        if place is not None:
            os.dup2(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_APPEND), descriptor)
    work(*arguments)
