"""The skeleton of every run: units that are missing are measured once, by one process, and kept."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import pytest

from processes import context, started, wait_for
from rankscope.errors import RankscopeError
from rankscope.measuring import Row, text_columns
from rankscope.runs.carry_out import Group, Unit, UnitFile, carry_out
from rankscope.runs.folder import RunFolder, open_run_folder
from rankscope.runs.identity import UnitKey
from rankscope.runs.manifest import read_manifest
from rankscope.runs.measurements import read_measurements
from rankscope.runs.progress import Progress, Silent
from rankscope.runs.record import Record

pytestmark = pytest.mark.slow

IDENTITY = {"models": [{"reference": "m"}], "settings": {}}
BATCHES = 3


class Diary:
    """A network's loads and the batches that were measured."""

    def __init__(self) -> None:
        self.loads: list[str] = []
        self.measured: list[tuple[str, int]] = []


def unit(record: Record, name: str, diary: Diary, *, seconds: float = 0.0, fails_at: int | None = None) -> Unit:
    def measure(_network: str, done: Collection[int]) -> Iterator[tuple[int, list[Row]]]:
        for number in range(BATCHES):
            if number in done:
                continue
            if number == fails_at:
                raise RankscopeError("out of memory")
            time.sleep(seconds)
            diary.measured.append((name, number))
            yield number, [dict.fromkeys(text_columns()) | {"text_index": number, "text_id": name, "layer": "last"}]

    return Unit(
        name=name,
        key=UnitKey("tokens", name),
        record=record,
        store=UnitFile(record.folder, name, ("last",)),
        label=name,
        sizes=(1,) * BATCHES,
        counted="texts",
        measure=measure,
    )


def group(diary: Diary, *units: Unit) -> Group:
    def load(_progress: Progress) -> str:
        diary.loads.append(units[0].name)
        return "network"

    return Group(units, load)


def opened(path: Path) -> Record:
    return Record(open_run_folder(path, IDENTITY), {"versions": {}})


def test_a_network_is_loaded_once_and_only_for_what_is_missing(tmp_path: Path) -> None:
    record, diary = opened(tmp_path), Diary()
    units = [unit(record, name, diary) for name in ("a", "b", "c")]
    carry_out([group(diary, units[0])], Silent())
    carry_out([group(diary, *units)], Silent())
    assert diary.loads == ["a", "a"]
    assert [name for name, _ in diary.measured] == ["a"] * 3 + ["b"] * 3 + ["c"] * 3
    carry_out([group(diary, *units)], Silent())
    assert len(diary.loads) == 2
    assert list(read_manifest(tmp_path)["units"]) == ["a", "b", "c"]
    assert read_manifest(tmp_path)["sessions"][0]["measured"] == ["a", "b", "c"]


def test_what_was_kept_before_an_error_is_not_measured_again(tmp_path: Path) -> None:
    record, diary = opened(tmp_path), Diary()
    with pytest.raises(RankscopeError, match="out of memory"):
        carry_out([group(diary, unit(record, "a", diary, fails_at=2))], Silent())
    assert read_measurements(tmp_path).height == 2
    carry_out([group(diary, unit(record, "a", diary))], Silent())
    assert diary.measured == [("a", 0), ("a", 1), ("a", 2)]


def test_what_is_adopted_needs_no_network(tmp_path: Path) -> None:
    record, diary = opened(tmp_path), Diary()
    adopting = Unit(**(vars(unit(record, "a", diary)) | {"adopt": lambda _: True}))
    carry_out([group(diary, adopting)], Silent())
    assert diary.loads == []


def work(path: Path, names: tuple[str, ...], told: Any, start: Any = None, seconds: float = 0.2) -> None:
    record, diary = opened(path), Diary()
    if start is not None:
        start.wait(timeout=120)
    carry_out([group(diary, *(unit(record, name, diary, seconds=seconds) for name in names))], Silent())
    record.conclude()
    told.put([name for name, _ in diary.measured])


def test_two_processes_share_a_run(tmp_path: Path) -> None:
    """Each measures what the other does not; both come back when all is there, and nothing is there twice."""
    told, start = context().Queue(), context().Barrier(2)
    processes = [
        context().Process(target=work, args=(tmp_path, names, told, start))
        for names in (("a", "b", "c"), ("c", "b", "a"))
    ]
    for process in processes:
        process.start()
    measured = [told.get(timeout=120) for _ in processes]
    for process in processes:
        process.join()
        assert process.exitcode == 0
    assert all(measured)  # both had something to do
    assert sorted(measured[0] + measured[1]) == ["a"] * 3 + ["b"] * 3 + ["c"] * 3
    rows = read_measurements(tmp_path).sort("text_id", "text_index")
    assert rows["text_id"].to_list() == ["a"] * 3 + ["b"] * 3 + ["c"] * 3
    manifest = read_manifest(tmp_path)
    assert set(manifest["units"]) == {"a", "b", "c"}
    assert len(manifest["sessions"]) == 2
    assert all(session["finished"] for session in manifest["sessions"])


def test_a_unit_of_another_process_is_waited_for(tmp_path: Path) -> None:
    with started(work, tmp_path, ("a",), context().Queue(), None, 1.5) as other:
        while not list(tmp_path.glob("measurements/parts/a/*.parquet")):
            time.sleep(0.02)
            assert other.is_alive()
        said: list[str] = []
        folder = open_run_folder(tmp_path, IDENTITY, said.append)
        record, diary = Record(folder, {"versions": {}}), Diary()
        carry_out([group(diary, unit(record, "a", diary))], Silent())
        assert diary.loads == []
        assert RunFolder.is_finished(folder, "a")
        assert said == [f"{tmp_path}: waiting for another process that measures a"]
        assert wait_for(other) == 0
