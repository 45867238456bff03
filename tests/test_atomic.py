from __future__ import annotations

import errno
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

import pytest

import rankscope
from processes import started, wait_for
from rankscope.atomic import create_bytes, write_bytes, write_file, write_text
from rankscope.errors import StorageError


def test_what_is_written_is_what_is_read(tmp_path: Path) -> None:
    write_bytes(tmp_path / "new" / "a.bin", b"\0\xff")
    write_text(tmp_path / "new" / "a.txt", "eRank → 3\n\ud800")
    assert (tmp_path / "new" / "a.bin").read_bytes() == b"\0\xff"
    assert (tmp_path / "new" / "a.txt").read_bytes().decode() == "eRank → 3\n\N{REPLACEMENT CHARACTER}"
    assert len(list((tmp_path / "new").iterdir())) == 2


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (OSError(5, "Input/output error"), StorageError),
        (KeyboardInterrupt(), KeyboardInterrupt),
        (ValueError("a defect"), ValueError),
    ],
)
@pytest.mark.parametrize("before", [b"old", None])
def test_a_failure_half_way_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, error: BaseException, raised: type[BaseException], before: bytes | None
) -> None:
    place = tmp_path / "a.parquet"
    if before is not None:
        place.write_bytes(before)

    def half(file: BinaryIO) -> None:
        file.write(b"half")
        file.flush()
        raise error

    with pytest.raises(raised):
        write_file(place, half)
    assert [file.read_bytes() for file in tmp_path.iterdir()] == ([] if before is None else [before])


def write_half(place: Path) -> None:
    def half(file: BinaryIO) -> None:
        file.write(b"half")
        file.flush()
        os.kill(os.getpid(), signal.SIGKILL)

    write_file(place, half)


def test_a_kill_half_way_leaves_the_old_file(tmp_path: Path) -> None:
    place = tmp_path / "a.parquet"
    place.write_bytes(b"old")
    with started(write_half, place) as process:
        assert wait_for(process) == -signal.SIGKILL
    assert place.read_bytes() == b"old"
    (left,) = (file for file in tmp_path.iterdir() if file != place)
    assert left.name.endswith(".unfinished")  # by which run folders and caches sweep


def test_writers_of_one_file_do_not_meet(tmp_path: Path) -> None:
    place = tmp_path / "a.parquet"

    def while_another_writes(file: BinaryIO) -> None:
        file.write(b"first, ")
        file.flush()
        write_bytes(place, b"second")  # the same process; others differ all the more
        assert place.read_bytes() == b"second"
        file.write(b"whole")

    write_file(place, while_another_writes)
    assert [file.read_bytes() for file in tmp_path.iterdir()] == [b"first, whole"]


def test_a_folder_that_is_tidied_meanwhile_is_made_again(tmp_path: Path) -> None:
    place = tmp_path / "parts" / "a.parquet"
    calls: list[int] = []

    def while_another_tidies(file: BinaryIO) -> None:
        calls.append(len(calls))
        if len(calls) < 3:
            shutil.rmtree(place.parent)
        file.write(b"whole")

    write_file(place, while_another_tidies)
    assert (place.read_bytes(), calls) == (b"whole", [0, 1, 2])


@pytest.mark.parametrize("number", [None, errno.EPERM, errno.ENOTSUP])
def test_a_file_is_created_by_one_of_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int | None) -> None:
    def no_links(*_: object) -> None:
        raise OSError(number, "no links")

    if number is not None:
        monkeypatch.setattr(Path, "hardlink_to", no_links)
    place = tmp_path / "new" / "manifest.json"
    assert create_bytes(place, b"first")
    assert not create_bytes(place, b"second")
    assert [file.read_bytes() for file in place.parent.iterdir()] == [b"first"]


def test_threads_that_create_a_file_agree_on_one(tmp_path: Path) -> None:
    place, start = tmp_path / "manifest.json", threading.Barrier(8)

    def create(number: int) -> bool:
        start.wait(timeout=60)
        return create_bytes(place, str(number).encode())

    with ThreadPoolExecutor(8) as pool:
        created = list(pool.map(create, range(8)))
    assert sum(created) == 1
    assert place.read_bytes() == str(created.index(True)).encode()


def test_a_file_that_cannot_be_created_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="could not write .*file/a: (Not a directory|File exists)"):
        create_bytes(tmp_path / "file" / "a", b"")


def test_links_permissions_and_long_names_stay(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_text("old")
    target.chmod(0o640)
    link.symlink_to(target)
    write_text(link, "new")
    assert link.is_symlink()
    assert target.read_text() == "new"
    assert target.stat().st_mode & 0o777 == 0o640
    mask = os.umask(0o022)
    try:
        write_text(tmp_path / ("é" * 127), "long")
    finally:
        os.umask(mask)
    assert (tmp_path / ("é" * 127)).stat().st_mode & 0o777 == 0o644


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no such device")
def test_a_device_is_written_to_and_not_replaced() -> None:
    write_text(Path("/dev/null"), "nothing")
    assert Path("/dev/null").is_char_device()
    with pytest.raises(StorageError, match=r"could not write /dev/full: No space left on device\. .* free some space"):
        write_text(Path("/dev/full"), "something")
    assert Path("/dev/full").is_char_device()


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for place, reason in ((tmp_path, "Is a directory"), (tmp_path / "file" / "a", "Not a directory|File exists")):
        with pytest.raises(StorageError, match=rf"could not write {place}: ({reason})$"):
            write_text(place, "text")


def test_texts_are_written_without_polars(tmp_path: Path) -> None:
    code = "import sys; from pathlib import Path; from rankscope.atomic import write_text; "
    code += "write_text(Path(sys.argv[1]), 'text'); sys.exit('polars' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path / "a")], check=False).returncode == 0
    assert (tmp_path / "a").read_text() == "text"


WRITE_OTHERWISE = {
    "atomic.py": "the writer",
    "integrations/harness.py": "files of a temporary folder, for the harness",
    "models/gguf/parts.py": "a temporary file, for transformers",
    "runs/answers.py": "lines that are appended, of which a cut one is left out",
    "runs/parquet.py": "a buffer in memory",
    "studies/questions/timing.py": "a switch of the kernel",
}


def test_every_file_is_written_by_it() -> None:
    source = Path(rankscope.__file__).parent
    writes = re.compile(r"\.(write_text|write_bytes|write_parquet|sink_\w+)\(|open\([^)\n]*[\"'][rb]*[wxa]")
    found = {str(file.relative_to(source)) for file in source.rglob("*.py") if writes.search(file.read_text())}
    assert found == set(WRITE_OTHERWISE)
