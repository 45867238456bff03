"""Locks of units and of the folder, between processes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rankscope.errors import RunFolderError
from rankscope.runs.locks import Locks

pytestmark = pytest.mark.slow


@contextmanager
def another_process(folder: Path, holds: str) -> Iterator[subprocess.Popen[str]]:
    """Holds a lock until it is killed or told to go on."""
    code = (
        "import pathlib, sys; from rankscope.runs.locks import Locks\n"
        f"locks = Locks(pathlib.Path({str(folder)!r}), print)\n"
        f"with {holds}:\n"
        "    print('in', flush=True); sys.stdin.readline()"
    )
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "in\n"
        try:
            yield process
        finally:
            process.kill()


def test_a_unit_is_measured_by_one_process(tmp_path: Path) -> None:
    told: list[str] = []
    locks = Locks(tmp_path, told.append)
    with another_process(tmp_path, "locks.unit('one', wait=False)") as other:
        with locks.unit("one", wait=False) as ours:
            assert not ours
        with locks.unit("two", wait=False) as ours:
            assert ours
        with locks.folder():
            pass
        assert other.stdin is not None
        other.stdin.write("go on\n")
        other.stdin.flush()
        with locks.unit("one", wait=True) as ours:
            assert ours
    assert not told or "waiting for it" in told[0]


def test_a_dead_process_holds_nothing(tmp_path: Path) -> None:
    locks = Locks(tmp_path, print)
    with another_process(tmp_path, "locks.unit('one', wait=False)") as other:
        other.kill()
        other.wait()
        with locks.unit("one", wait=False) as ours:
            assert ours


def test_a_folder_that_is_never_free_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rankscope.runs.locks._A_MOMENT", 0.1)
    with (
        another_process(tmp_path, "locks.folder()"),
        pytest.raises(RunFolderError, match="another process is working in .*: wait for it, or choose another"),
        Locks(tmp_path, print).folder(),
    ):
        pass
