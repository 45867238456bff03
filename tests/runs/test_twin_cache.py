from __future__ import annotations

import os
import uuid
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

import rankscope as rs
from processes import started, wait_for
from rankscope.errors import SettingsError, StorageError
from rankscope.measuring import text_columns
from rankscope.runs.parquet import to_parquet
from rankscope.runs.progress import Silent
from rankscope.runs.shared_twins import SharedTwinCache
from rankscope.runs.twin_cache import ForgivingTwinCache, TwinCache, default_twin_cache, key_of
from tiny import SENTENCES, save_tiny

pytestmark = pytest.mark.slow


def frame(rows: int = 1) -> pl.DataFrame:
    return pl.DataFrame({name: [None] * rows for name in text_columns()}, schema=text_columns())


def test_what_was_put_is_got(tmp_path: Path) -> None:
    cache = TwinCache(tmp_path / "twins")
    assert cache.get("a") is None
    cache.put("a", frame(3))
    assert_frame_equal(cache.get("a"), frame(3))
    assert [file.stem for file, _, _ in cache.entries()] == ["a"]
    assert cache.clear() == 1
    assert cache.get("a") is None


def test_the_least_recently_used_goes_first(tmp_path: Path) -> None:
    cache = TwinCache(tmp_path)
    for age, key in ((300, "old"), (200, "used"), (100, "new")):
        cache.put(key, frame())
        os.utime(tmp_path / f"{key}.parquet", (1e9 - age, 1e9 - age))
    cache.get("used")
    size = (tmp_path / "new.parquet").stat().st_size
    TwinCache(tmp_path, limit=3 * size).put("newest", frame())
    assert {file.stem for file, _, _ in cache.entries()} == {"newest", "used", "new"}


def test_a_damaged_or_foreign_file_is_no_measurement(tmp_path: Path) -> None:
    cache = TwinCache(tmp_path)
    (tmp_path / "a.parquet").write_bytes(b"PAR1 broken")
    assert cache.get("a") is None
    pl.DataFrame({"x": [1]}).write_parquet(tmp_path / "b.parquet")
    assert cache.get("b") is None


def test_a_cache_that_cannot_be_written_says_how_to_do_without(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    cache = TwinCache(tmp_path / "file" / "twins")
    assert cache.get("a") is None
    with pytest.raises(StorageError, match="set RANKSCOPE_CACHE to a writable folder.*--no-twin-cache"):
        cache.put("a", frame())


def test_a_cache_in_an_object_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANKSCOPE_CACHE", f"memory://{uuid.uuid4().hex}/twins")
    cache = default_twin_cache()
    assert isinstance(cache, SharedTwinCache)
    assert cache.get("a") is None
    cache.put("a", frame(3))
    assert_frame_equal(cache.get("a"), frame(3))
    cache.storage.write("b.parquet", b"PAR1 broken")
    cache.storage.write("c.parquet", to_parquet(pl.DataFrame({"x": [1]})))
    assert cache.get("b") is cache.get("c") is None
    assert cache.keys() == ["a", "b", "c"]
    assert cache.clear() == 3
    assert cache.keys() == []


@pytest.mark.parametrize("call", ["get", "put"])
def test_a_store_that_fails_is_warned_of_once_and_done_without(monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError("Access Denied")

    monkeypatch.setenv("RANKSCOPE_CACHE", f"memory://{uuid.uuid4().hex}/twins")
    told: list[str] = []
    cache = ForgivingTwinCache.of_the_user(told.append)
    assert isinstance(cache.cache, SharedTwinCache)
    monkeypatch.setattr(type(cache.cache.storage.files), "cat_file", refuse)
    monkeypatch.setattr(type(cache.cache.storage.files), "pipe_file", refuse)
    for _ in range(2):
        assert (cache.get("a") if call == "get" else cache.put("a", frame())) is None
    (warning,) = told
    assert warning.startswith("warning: twins are not cached for other runs; results are not affected: could not ")
    assert "Access Denied" in warning


def test_a_cache_at_an_address_that_cannot_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANKSCOPE_CACHE", "s3://KEY:SECRET@bucket/twins")
    with pytest.raises(SettingsError, match="contains a user name or a key") as caught:
        default_twin_cache()
    assert "SECRET" not in str(caught.value)


def put_and_get(folder: Path) -> None:
    cache = TwinCache(folder, limit=20_000)
    for number in range(150):
        cache.put(str(number % 20), frame())
        found = cache.get(str((number * 7) % 20))
        assert found is None or found.height == 1


def test_two_processes_at_once(tmp_path: Path) -> None:
    with started(put_and_get, tmp_path) as one, started(put_and_get, tmp_path) as other:
        assert wait_for(one) == wait_for(other) == 0


def test_where_it_is_and_how_large(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RANKSCOPE_CACHE", str(tmp_path))
    monkeypatch.setenv("RANKSCOPE_CACHE_MIB", "3")
    assert default_twin_cache() == TwinCache(tmp_path, 3 << 20)
    monkeypatch.delenv("RANKSCOPE_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "x"))
    assert default_twin_cache().folder == tmp_path / "x" / "rankscope" / "twins"
    monkeypatch.setenv("RANKSCOPE_CACHE_MIB", "much")
    with pytest.raises(SettingsError, match="a whole number, got 'much'"):
        default_twin_cache()


def test_a_key_does_not_depend_on_order() -> None:
    assert key_of({"a": 1, "b": [2]}) == key_of({"b": [2], "a": 1}) != key_of({"a": 1, "b": [3]})


@pytest.fixture
def data(tmp_path: Path) -> str:
    path = tmp_path / "lines.txt"
    path.write_text("\n".join(SENTENCES))
    return str(path)


def test_a_sweep_over_checkpoints_pays_for_its_twin_once(
    tmp_path: Path, data: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = (save_tiny(tmp_path / name, seed=seed) for seed, name in enumerate(("step-1", "step-2")))
    first = rs.evaluate(str(one), data, output=tmp_path / "a", untrained_seeds=2)
    with monkeypatch.context() as patched:
        patched.setattr(
            "rankscope.models.transformers_backend.untrained_twin", lambda *_, **__: pytest.fail("made the twin again")
        )
        second = rs.evaluate(str(two), data, output=tmp_path / "b", untrained_seeds=2)
    twins = [run.measurements().filter(pl.col("role") == "untrained") for run in (first, second)]
    assert_frame_equal(twins[0].drop("model"), twins[1].drop("model"), check_exact=True)
    assert twins[1]["model"].unique().to_list() == [str(two)]
    uncached = rs.evaluate(str(two), data, output=tmp_path / "c", untrained_seeds=2, twin_cache=False)
    assert_frame_equal(uncached.measurements(), second.measurements(), check_exact=True)


@pytest.mark.parametrize(
    "change",
    [
        {"layers": "all"},
        {"dtype": "bfloat16"},
        {"batch_tokens": 30},
        {"limit": 3},
        {"window": 8},
        {"protocol": "paper"},
    ],
)
def test_other_conditions_need_another_twin(
    tmp_path: Path, data: str, tiny_folder: Path, own_twin_cache: Path, change: dict
) -> None:
    rs.evaluate(str(tiny_folder), data, output=tmp_path / "a")
    rs.evaluate(str(tiny_folder), data, output=tmp_path / "b", **change)
    assert len(list(own_twin_cache.glob("*.parquet"))) == 2


def test_shuffled_weights_are_kept_by_weights_and_not_by_configuration(
    tmp_path: Path, data: str, own_twin_cache: Path
) -> None:
    for seed in (0, 1):
        folder = save_tiny(tmp_path / str(seed), seed=seed)
        rs.evaluate(str(folder), data, output=tmp_path / f"run-{seed}", protocol="permuted")
    assert len(list(own_twin_cache.glob("*.parquet"))) == 2


class Told(Silent):
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.messages: list[str] = []

    def say(self, message: str) -> None:
        self.messages.append(message)


@pytest.mark.parametrize("kind", ["not a folder", "no home"])
def test_without_a_cache_there_is_one_warning_and_the_result(
    tmp_path: Path, data: str, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    usual = rs.evaluate(str(tiny_folder), data, output=tmp_path / "usual", untrained_seeds=3)
    if kind == "no home":
        for name in ("RANKSCOPE_CACHE", "XDG_CACHE_HOME"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setattr(Path, "home", lambda: (_ for _ in ()).throw(RuntimeError("no home")))
    else:
        monkeypatch.setenv("RANKSCOPE_CACHE", str(Path(data) / "twins"))  # inside a file: also root cannot
    told = Told()
    run = rs.evaluate(str(tiny_folder), data, output=tmp_path / "run", untrained_seeds=3, progress=told)
    assert run.summary_rows() == usual.summary_rows()
    (warning,) = (message for message in told.messages if message.startswith("warning: "))
    assert "set RANKSCOPE_CACHE to a writable folder" in warning
    told = Told()
    rs.evaluate(str(tiny_folder), data, output=tmp_path / "bare", untrained_seeds=0, progress=told)
    assert not any(message.startswith("warning: ") for message in told.messages)


def test_no_home_folder_is_an_error_of_the_cache_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANKSCOPE_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", lambda: (_ for _ in ()).throw(RuntimeError("no home")))
    with pytest.raises(StorageError, match="there is no home folder"):
        default_twin_cache()


def test_a_cache_that_can_only_be_read_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = TwinCache(tmp_path)
    cache.put("a", frame(2))

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "utime", refuse)
    assert_frame_equal(cache.get("a"), frame(2))
    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(StorageError, match="cannot remove .*Permission denied"):
        cache.clear()
    with pytest.raises(StorageError, match="cannot make room"):
        TwinCache(tmp_path, limit=0).put("b", frame())
