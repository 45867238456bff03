from __future__ import annotations

import hashlib
import json
import os
import time
from pathlib import Path

import pytest

from processes import started, wait_for
from rankscope.errors import RankscopeError
from rankscope.file_digests import DigestCache, default_digest_cache, digest_of

LONG_AGO = 1_000_000_000_123_456_789


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "weights.bin"
    path.write_bytes(bytes(range(256)) * 400)
    return path


@pytest.fixture
def cache(tmp_path: Path) -> DigestCache:
    return DigestCache(tmp_path / "digests", smallest=0)


def entry(cache: DigestCache) -> Path:
    assert cache.folder is not None
    (found,) = cache.folder.iterdir()
    return found


def by_hand(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that are read as a whole from now on."""
    found: list[str] = []
    read = hashlib.file_digest

    def watch(content: object, algorithm: str) -> object:
        found.append(Path(content.name).name)
        return read(content, algorithm)

    monkeypatch.setattr(hashlib, "file_digest", watch)
    return found


def test_the_digest_is_sha256_of_the_whole_file_and_is_read_once(
    file: Path, cache: DigestCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = reads(monkeypatch)
    for _ in range(3):
        assert cache.digest(file) == by_hand(file)
    assert read == ["weights.bin"]
    (file.parent / "link").symlink_to(file)
    assert cache.digest(file.parent / "link") == by_hand(file)
    assert read == ["weights.bin"]


@pytest.mark.parametrize("restored", [False, True])
def test_one_byte_in_the_middle_of_the_same_size(file: Path, cache: DigestCache, restored: bool) -> None:
    """Also where the modification time is set back afterwards, as `rsync --times` or `touch -r` do."""
    os.utime(file, ns=(LONG_AGO, LONG_AGO))
    before, first = file.stat(), cache.digest(file)
    with file.open("rb+") as content:
        content.seek(51_200)
        content.write(b"\xff")
    if restored:
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
        assert file.stat().st_mtime_ns == before.st_mtime_ns
    assert file.stat().st_size == before.st_size
    assert cache.digest(file) == by_hand(file) != first


def test_another_file_moved_into_its_place(file: Path, cache: DigestCache) -> None:
    first = cache.digest(file)
    other = file.with_name("other")
    other.write_bytes(file.read_bytes()[::-1])
    os.utime(other, ns=(file.stat().st_atime_ns, file.stat().st_mtime_ns))
    other.replace(file)
    assert cache.digest(file) == by_hand(file) != first


def test_a_file_changed_within_a_tick_of_a_coarse_clock_is_not_remembered(
    file: Path, cache: DigestCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a file system that keeps whole seconds a second change in the same second leaves no trace."""
    import rankscope.file_digests as module

    second = time.time_ns() // 10**9 * 10**9
    state_of = module._state_of
    monkeypatch.setattr(
        module, "_state_of", lambda descriptor: state_of(descriptor) | {"mtime_ns": second, "ctime_ns": second}
    )
    first = cache.digest(file)
    file.write_bytes(file.read_bytes()[::-1])
    assert cache.digest(file) == by_hand(file) != first
    monkeypatch.setattr(
        module, "_state_of", lambda descriptor: state_of(descriptor) | {"mtime_ns": 10**18, "ctime_ns": 10**18}
    )
    read = reads(monkeypatch)
    assert cache.digest(file) == cache.digest(file)
    assert len(read) == 1


def test_a_file_that_was_just_written_waits_for_the_next_tick(file: Path, cache: DigestCache) -> None:
    file.write_bytes(b"new" * 1000)
    cache.digest(file)
    state = json.loads(entry(cache).read_text())
    assert time.time_ns() - max(state["mtime_ns"], state["ctime_ns"]) > 10**8


def test_a_file_that_changes_while_it_is_read(file: Path, cache: DigestCache, monkeypatch: pytest.MonkeyPatch) -> None:
    read = hashlib.file_digest

    def write_meanwhile(content: object, algorithm: str) -> object:
        digest = read(content, algorithm)
        with file.open("ab") as more:
            more.write(b"more")
        return digest

    monkeypatch.setattr(hashlib, "file_digest", write_meanwhile)
    with pytest.raises(RankscopeError, match=r"weights.bin changed while it was being read"):
        cache.digest(file)


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"sha256": 7}', b"\xff\xfe", b"null"])
def test_a_damaged_entry_is_no_digest(file: Path, cache: DigestCache, damage: bytes) -> None:
    cache.digest(file)
    place = entry(cache)
    place.write_bytes(damage)
    assert cache.digest(file) == by_hand(file)
    assert json.loads(place.read_text())["sha256"] == by_hand(file)
    known = json.loads(place.read_text())
    place.write_text(json.dumps(known | {"sha256": "short"}))
    assert cache.digest(file) == by_hand(file)


@pytest.mark.parametrize("folder", ["file/digests", "/proc/nope", None])
def test_without_a_cache_that_can_be_written_files_are_read(file: Path, tmp_path: Path, folder: str | None) -> None:
    (tmp_path / "file").write_text("")
    cache = DigestCache(None if folder is None else tmp_path / folder, smallest=0)
    assert cache.digest(file) == cache.digest(file) == by_hand(file)


def test_small_files_leave_no_entry(file: Path, tmp_path: Path) -> None:
    DigestCache(tmp_path / "digests").digest(file)
    assert not (tmp_path / "digests").exists()


def test_several_files_keep_their_order(tmp_path: Path, cache: DigestCache) -> None:
    files = [tmp_path / str(number) for number in range(20)]
    for file in files:
        file.write_text(file.name * 50)
    assert cache.digests(files) == [by_hand(file) for file in files]


def test_the_oldest_entries_make_room(tmp_path: Path, cache: DigestCache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rankscope.file_digests._MOST_ENTRIES", 8)
    for number in range(9):
        file = tmp_path / str(number)
        file.write_text(str(number))
        os.utime(file, ns=(LONG_AGO, LONG_AGO))
        cache.digest(file)
    assert cache.folder is not None
    paths = [json.loads(place.read_text())["path"] for place in cache.folder.iterdir()]
    assert len(paths) == 7
    assert str(tmp_path / "8") in paths
    assert str(tmp_path / "0") not in paths


def read_often(cache: DigestCache, file: Path, digest: str) -> None:
    assert {cache.digest(file) for _ in range(100)} == {digest}


def test_two_processes_share_it(file: Path, cache: DigestCache) -> None:
    share = (read_often, cache, file, by_hand(file))
    with started(*share) as one, started(*share) as other:
        assert wait_for(one) == wait_for(other) == 0
    assert entry(cache).suffix == ".json"


def test_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANKSCOPE_CACHE", str(tmp_path))
    assert default_digest_cache().folder == tmp_path / "files"
    monkeypatch.delenv("RANKSCOPE_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "x"))
    assert default_digest_cache().folder == tmp_path / "x" / "rankscope" / "files"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_digest_cache().folder == tmp_path / ".cache" / "rankscope" / "files"
    monkeypatch.setattr(Path, "home", lambda: (_ for _ in ()).throw(RuntimeError("no home")))
    assert default_digest_cache().folder is None


def test_the_digest_of_plain_values_does_not_depend_on_order() -> None:
    assert digest_of({"a": 1, "b": [2]}) == digest_of({"b": [2], "a": 1}) != digest_of({"a": 1, "b": [3]})
