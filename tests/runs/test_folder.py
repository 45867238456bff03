from __future__ import annotations

import errno
import json
import os
import resource
from pathlib import Path

import polars as pl
import pytest

from processes import started, wait_for
from rankscope.errors import RunFolderError, StorageError
from rankscope.measuring import Row, text_columns
from rankscope.runs.folder import RunFolder, open_run_folder
from rankscope.runs.locks import NoLocks
from rankscope.runs.manifest import UnitRecord, read_manifest, read_unit
from rankscope.runs.measurements import read_measurements
from rankscope.runs.storage import LocalFolder

IDENTITY = {"models": [{"reference": "m"}], "settings": {"limit": 5, "layers": "last", "metrics": ["a", "b"]}}

ONE_BATCH = UnitRecord("tokens", "everything", 1, ("last",))


def row(index: int, layer: str = "last") -> Row:
    known = {"text_index": index, "layer": layer, "status": "ok", "matrix_entropy": index / 3}
    return dict.fromkeys(text_columns()) | known


def test_batches_join_in_the_order_of_texts_and_layers(tmp_path: Path) -> None:
    folder = open_run_folder(tmp_path / "run", IDENTITY)
    folder.write_batch("unit", 1, [row(1, "last"), row(1, "2"), row(1, "10")])
    folder.write_batch("unit", 0, [row(2, "last"), row(0, "last"), row(0, "10"), row(0, "2")])
    assert folder.finished_batches("unit") == {0, 1}
    assert not folder.is_finished("unit")
    assert read_measurements(folder.path).height == 7  # also while it is not finished
    folder.finish_unit("unit", UnitRecord("", "", 2, ("2", "10", "last")))
    assert folder.is_finished("unit")
    joined = read_measurements(tmp_path / "run")
    assert joined.columns == list(text_columns())
    assert joined.select("text_index", "layer").rows() == [
        (0, "2"), (0, "10"), (0, "last"), (1, "2"), (1, "10"), (1, "last"), (2, "last"),
    ]  # fmt: skip
    assert joined["matrix_entropy"].to_list() == [0, 0, 0, 1 / 3, 1 / 3, 1 / 3, 2 / 3]
    assert pl.read_parquet(tmp_path / "run" / "measurements" / "*.parquet").equals(joined)


def test_a_kill_between_joining_and_tidying_counts_nothing_twice(tmp_path: Path) -> None:
    folder = open_run_folder(tmp_path, IDENTITY)
    folder.write_batch("unit", 0, [row(0)])
    folder.finish_unit("unit", ONE_BATCH)
    folder.write_batch("unit", 0, [row(0)])
    assert read_measurements(tmp_path).height == 1


def test_what_a_kill_left_unfinished_is_swept_away(tmp_path: Path) -> None:
    folder = open_run_folder(tmp_path, IDENTITY)
    folder.write_batch("unit", 0, [row(0)])
    half = tmp_path / "measurements" / "parts" / "unit" / "000001.parquet.unfinished"
    half.write_bytes(b"PAR1 half")
    (tmp_path / "manifest.json.unfinished").write_text("{")
    folder = open_run_folder(tmp_path, IDENTITY)
    with folder.locked():
        assert not list(tmp_path.glob("*.unfinished"))
    assert half.exists()  # another process may be writing it
    with folder.claim("unit", wait=False) as ours:
        assert ours
        assert not half.exists()
    assert folder.finished_batches("unit") == {0}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"settings": IDENTITY["settings"] | {"limit": 6}}, "limit is 5 there and 6 in this call"),
        ({"settings": IDENTITY["settings"] | {"metrics": ["a", "c"]}}, r'metrics\[1\] is "b" there and "c"'),
        ({"settings": IDENTITY["settings"] | {"metrics": ["a"]}}, r'metrics is \["a", "b"\] there'),
        ({"settings": IDENTITY["settings"] | {"new": 1}}, "new is null there and 1"),
        ({"models": [{"reference": "n"}]}, r'models\[0\].reference is "m" there and "n"'),
    ],
)
def test_a_folder_of_other_settings_is_refused(tmp_path: Path, change: dict, message: str) -> None:
    open_run_folder(tmp_path, IDENTITY)
    with pytest.raises(RunFolderError, match=message):
        open_run_folder(tmp_path, IDENTITY | change)


def test_a_tuple_is_the_list_that_json_makes_of_it(tmp_path: Path) -> None:
    identity = {"settings": {"metrics": ("a", "b")}}
    for _ in range(2):
        open_run_folder(tmp_path, identity)
        assert read_manifest(tmp_path)["schema"] == 2


def test_a_folder_with_other_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(RunFolderError, match=r"contains other files \(thesis.tex\)"):
        open_run_folder(tmp_path, IDENTITY)
    assert (tmp_path / "thesis.tex").read_text() == "precious"


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunFolderError, match="cannot write to"):
        open_run_folder(tmp_path / "file" / "run", IDENTITY)


def write_until_full(path: Path) -> None:
    folder = open_run_folder(path, IDENTITY)
    folder.write_batch("unit", 0, [row(0)])
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
    with pytest.raises(StorageError, match="could not write .*Finished work is saved"):
        folder.write_batch("unit", 1, [row(0)])


def test_a_full_disk_keeps_what_was_finished(tmp_path: Path) -> None:
    """A limit on file sizes stands in for a full disk: the same error from the same call."""
    with started(write_until_full, tmp_path) as process:
        assert wait_for(process) == 0
    folder = open_run_folder(tmp_path, IDENTITY)
    assert folder.finished_batches("unit") == {0}


def test_summary_refuses_nan(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        RunFolder(LocalFolder(tmp_path), NoLocks()).write_json("summary.json", {"rows": [{"loss": float("nan")}]})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "is not a run folder"),
        ("{", "is not JSON"),
        ("[]", "not a manifest"),
        (json.dumps({"schema": 99}), "schema 1 or 2"),
        (json.dumps({"schema": 1}), "schema 1 or 2"),
        (json.dumps({"schema": 1, "identity": {}, "sessions": {}}), "schema 1 or 2"),
        (json.dumps({"schema": 2, "identity": {}, "sessions": []}), "schema 1 or 2"),
    ],
)
def test_manifests_that_are_none(tmp_path: Path, content: str | None, message: str) -> None:
    if content is not None:
        (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(RunFolderError, match=message):
        read_manifest(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"batches": -1}, "batches is '-1'"),
        ({"batches": 10**30}, "batches is '10000"),
        ({"batches": True}, "batches is 'True'"),
        ({"order": "last"}, "order is 'last'"),
        ({"tokens": None}, "tokens is 'None'"),
    ],
)
def test_damaged_units_are_named(tmp_path: Path, change: dict, message: str) -> None:
    folder = open_run_folder(tmp_path, IDENTITY)
    known = ONE_BATCH.as_json() | {"more": "from another version"}
    folder.write_json("units/unit.json", known)
    assert read_unit(tmp_path, "unit") == ONE_BATCH
    folder.write_json("units/unit.json", known | change)
    with pytest.raises(RunFolderError, match=rf"units/unit\.json is damaged.*: {message}"):
        read_unit(tmp_path, "unit")


def test_batches_of_other_layers_than_the_unit_names(tmp_path: Path) -> None:
    folder = open_run_folder(tmp_path, IDENTITY)
    folder.write_batch("unit", 0, [row(0, "3")])
    with pytest.raises(RunFolderError, match=r"the batches of unit do not have the layers that units/unit\.json names"):
        folder.finish_unit("unit", ONE_BATCH)


def test_a_unit_without_all_its_batches_is_not_joined(tmp_path: Path) -> None:
    folder = open_run_folder(tmp_path, IDENTITY)
    folder.write_batch("unit", 1, [row(0)])
    with pytest.raises(
        RunFolderError, match=r"000000\.parquet is missing: repeat the run's command to measure it again"
    ):
        folder.finish_unit("unit", UnitRecord("", "", 2, ("last",)))
    assert not folder.is_finished("unit")


def test_what_another_process_has_joined_is_left_as_it_is(tmp_path: Path) -> None:
    """It joins between our last batch and our own joining, and removes the parts."""
    folder = open_run_folder(tmp_path, IDENTITY)
    folder.write_batch("unit", 0, [row(0)])
    folder.finish_unit("unit", ONE_BATCH)
    joined = (tmp_path / "measurements" / "unit.parquet").stat().st_mtime_ns
    folder.finish_unit("unit", ONE_BATCH)
    assert (tmp_path / "measurements" / "unit.parquet").stat().st_mtime_ns == joined


def test_damaged_measurements_are_named(tmp_path: Path) -> None:
    folder = open_run_folder(tmp_path, IDENTITY)
    folder.write_batch("unit", 0, [row(0)])
    part = tmp_path / "measurements" / "parts" / "unit" / "000000.parquet"
    part.write_bytes(b"PAR1 half")
    with pytest.raises(RunFolderError, match=r"000000\.parquet cannot be read: .* remove it and run"):
        folder.finish_unit("unit", ONE_BATCH)
    part.unlink()
    folder.write_batch("unit", 0, [row(0)])
    folder.finish_unit("unit", ONE_BATCH)
    (tmp_path / "measurements" / "unit.parquet").write_bytes(b"PAR1 half")
    with pytest.raises(RunFolderError, match=r"unit\.parquet cannot be read"):
        folder.finished_unit("unit")
    pl.DataFrame({"model": [1]}).write_parquet(tmp_path / "measurements" / "unit.parquet")
    with pytest.raises(RunFolderError, match="cannot be read together"):
        read_measurements(tmp_path)


def test_runs_of_an_unknown_kind(tmp_path: Path) -> None:
    open_run_folder(tmp_path, IDENTITY)
    manifest = tmp_path / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"models"', '"kind": "dance", "models"'))
    with pytest.raises(RunFolderError, match="of the kind 'dance'"):
        read_measurements(tmp_path)


def test_a_write_that_fails_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "measurements").write_text("a file where a folder should be")
    with pytest.raises(StorageError, match="could not write"):
        RunFolder(LocalFolder(tmp_path), NoLocks()).write_batch("unit", 0, [row(0)])


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("rankscope.runs.locks.FileLock.acquire", refuse)
    told: list[str] = []
    folder = open_run_folder(tmp_path / "run", IDENTITY, told.append)
    folder.write_batch("unit", 0, [row(0)])
    assert read_measurements(tmp_path / "run").height == 1
    (warning,) = told
    assert "does not support locks" in warning


def test_a_lock_that_may_not_be_made_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("rankscope.runs.locks.FileLock.acquire", refuse)
    with pytest.raises(RunFolderError, match="cannot write to .*Permission denied"):
        open_run_folder(tmp_path, IDENTITY)


def test_a_folder_whose_name_is_a_pattern(tmp_path: Path) -> None:
    folder = open_run_folder(tmp_path / "run[1]*", IDENTITY)
    folder.write_batch("unit", 0, [row(0)])
    folder.finish_unit("unit", ONE_BATCH)
    assert read_measurements(tmp_path / "run[1]*").height == 1
