"""Locks of units and of the folder, between processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from multiprocessing.context import ForkServerProcess
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest

from processes import context, kill, started
from rankscope.errors import RunFolderError
from rankscope.runs.locks import Locks

pytestmark = pytest.mark.slow


Lock = Callable[[Locks], AbstractContextManager[object]]
UNIT_ONE = partial(Locks.unit, name="one", wait=False)


def hold(folder: Path, lock: Lock, inside: Event, go_on: Event) -> None:
    with lock(Locks(folder, print)):
        inside.set()
        go_on.wait()


@contextmanager
def another_process(folder: Path, lock: Lock) -> Iterator[tuple[ForkServerProcess, Event]]:
    """Holds a lock until it is killed or told to go on."""
    inside, go_on = context().Event(), context().Event()
    with started(hold, folder, lock, inside, go_on) as process:
        assert inside.wait(60)
        yield process, go_on


def test_a_unit_is_measured_by_one_process(tmp_path: Path) -> None:
    told: list[str] = []
    locks = Locks(tmp_path, told.append)
    with another_process(tmp_path, UNIT_ONE) as (_, go_on):
        with locks.unit("one", wait=False) as ours:
            assert not ours
        with locks.unit("two", wait=False) as ours:
            assert ours
        with locks.folder():
            pass
        go_on.set()
        with locks.unit("one", wait=True) as ours:
            assert ours
    assert not told or "waiting for another process" in told[0]


def test_a_dead_process_holds_nothing(tmp_path: Path) -> None:
    locks = Locks(tmp_path, print)
    with another_process(tmp_path, UNIT_ONE) as (other, _):
        kill(other)
        with locks.unit("one", wait=False) as ours:
            assert ours


def test_a_folder_that_is_never_free_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rankscope.runs.locks._A_MOMENT", 0.1)
    with (
        another_process(tmp_path, Locks.folder),
        pytest.raises(RunFolderError, match="another process is working in .*: wait for it, or choose another"),
        Locks(tmp_path, print).folder(),
    ):
        pass
