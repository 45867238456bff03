from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from rankscope.models import parse_model_reference
from rankscope.models.read_ahead import files_of, read_ahead

linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells what is in its page cache")


def is_in_memory(path: Path) -> bool:
    """Whether a file's last page can be read without waiting for the disk."""
    with path.open("rb") as file:
        try:
            return os.preadv(file.fileno(), [bytearray(16)], path.stat().st_size - 16, os.RWF_NOWAIT) == 16
        except BlockingIOError:
            return False


@linux
def test_files_are_in_memory_afterwards(tmp_path: Path) -> None:
    files = [tmp_path / "one.safetensors", tmp_path / "two.safetensors"]
    for path in files:
        with path.open("wb") as file:
            file.write(os.urandom(8 << 20))
            file.flush()
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    if any(is_in_memory(path) for path in files):
        pytest.skip("this file system keeps its files in memory")
    thread = read_ahead([*files, tmp_path / "missing.safetensors"])
    assert thread is not None
    thread.join()
    deadline = time.monotonic() + 30
    while not all(is_in_memory(path) for path in files):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_nothing_is_read_ahead_without_files(tmp_path: Path) -> None:
    assert read_ahead([]) is None
    assert read_ahead([tmp_path / "missing"]) is None


def test_files_of_a_folder_and_of_a_hub_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pico = parse_model_reference("pico-0.1m")
    assert {path.suffix for path in files_of(pico)} == {".safetensors"}
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    assert files_of(parse_model_reference("owner/name")) == ()
