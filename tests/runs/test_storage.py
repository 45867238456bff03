"""A folder of this machine as a storage; object stores have a test file of their own."""

from __future__ import annotations

from pathlib import Path

import pytest

from rankscope.errors import RunFolderError, SettingsError
from rankscope.runs.object_store import ObjectStore
from rankscope.runs.storage import LocalFolder, file_at, local_path, storage_of


def test_what_is_written_is_read_and_listed(tmp_path: Path) -> None:
    folder = LocalFolder(tmp_path / "run[1]")
    folder.prepare()
    assert folder.other_file() is None
    assert folder.read("a/b.json") is None
    assert folder.names("a") == []
    folder.write("a/b.json", b"1")
    folder.write("a/c/d.json", b"2")
    assert folder.create("e.json", b"3")
    assert not folder.create("e.json", b"4")
    assert folder.names("") == ["a/b.json", "a/c/d.json", "e.json"]
    assert folder.names("a/c") == ["a/c/d.json"]
    assert folder.read_each(["e.json", "no", "a/b.json"]) == [b"3", None, b"1"]
    assert folder.exists("e.json")
    assert not folder.exists("a")
    assert folder.other_file(["a"]) == "e.json"
    folder.remove("a")
    folder.remove("e.json")
    folder.remove("e.json")
    assert folder.names("") == []


def test_what_is_not_finished_is_not_there(tmp_path: Path) -> None:
    folder = LocalFolder(tmp_path)
    for name in ("x.json.0123.unfinished", "deep/y.json.0123.unfinished"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("{")
    assert folder.names("") == []
    folder.sweep("*")
    assert [path.name for path in tmp_path.rglob("*.unfinished")] == ["y.json.0123.unfinished"]
    folder.sweep("**/y.*")
    assert not list(tmp_path.rglob("*.unfinished"))


def test_what_cannot_be_read_or_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert LocalFolder(tmp_path).read("file/a") is None
    with pytest.raises(RunFolderError, match=f"{tmp_path} cannot be read: Is a directory"):
        LocalFolder(tmp_path.parent).read(tmp_path.name)
    for path in (tmp_path / "file" / "run", Path("a\0b")):
        with pytest.raises(RunFolderError, match="cannot write to"):
            LocalFolder(path).prepare()


def test_the_storage_of_a_place(tmp_path: Path) -> None:
    folder = LocalFolder(tmp_path)
    assert storage_of(tmp_path) == storage_of(str(tmp_path)) == storage_of(f"file://{tmp_path}") == folder
    assert storage_of(folder) is folder
    store = storage_of("memory://runs/mine/")
    assert isinstance(store, ObjectStore)
    assert store.place == "memory://runs/mine"
    with pytest.raises(SettingsError, match="looks like an address"):
        storage_of(Path("s3://bucket/run"))


def test_what_has_to_be_on_this_machine(tmp_path: Path) -> None:
    assert local_path(f"file://{tmp_path}", "it") == local_path(tmp_path, "it") == tmp_path
    with pytest.raises(SettingsError, match="an object store cannot be used for responses: choose a local folder"):
        local_path("s3://bucket/run", "responses")


def test_a_file_is_a_name_in_a_storage(tmp_path: Path) -> None:
    for place in (tmp_path / "page.html", str(tmp_path / "page.html"), f"file://{tmp_path}/page.html"):
        assert file_at(place) == (LocalFolder(tmp_path), "page.html")
    storage, name = file_at("memory://bucket/reports/page.html")
    assert (storage.place, name) == ("memory://bucket/reports", "page.html")
    with pytest.raises(SettingsError, match="s3://bucket is a bucket"):
        file_at("s3://bucket")
