"""A watch from look to look: what happens in the folder between two looks is scripted here."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

import pytest

import rankscope as rs
from rankscope.errors import DataError, RunFolderError, UnknownNameError
from rankscope.runs import Silent, Watch, open_watch, watching
from rankscope.settings import Settings
from rankscope.watch_settings import WatchSettings
from tiny import SENTENCES, save_tiny

pytestmark = pytest.mark.slow

FAST = Settings(untrained_seeds=0, device="cpu", metrics="effective_rank,loss")
Act = Callable[[], object]


class Said(Silent):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, message: str) -> None:
        self.lines.append(message)

    def count(self, part: str) -> int:
        return sum(part in line for line in self.lines)


class EnoughLooksError(Exception):
    """Ends a watch that would go on for ever."""


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    file = tmp_path / "texts.txt"
    file.write_text("\n".join(SENTENCES))
    return file


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def opened(out: Path, texts: Path, settings: Settings = FAST, **pace: float) -> tuple[Watch, Said]:
    said = Said()
    return open_watch(out, [str(texts)], out.parent / "kept", settings, WatchSettings(**pace), said), said


def follow(watch: Watch, monkeypatch: pytest.MonkeyPatch, *between: Act | None) -> list[str]:
    """Names as they are yielded, with something done between one look and the next; then the watch is ended."""
    acts = iter(between)

    def sleep(_seconds: float) -> None:
        try:
            act = next(acts)
        except StopIteration:
            raise EnoughLooksError from None
        if act is not None:
            act()

    monkeypatch.setattr(watching, "sleep", sleep)
    names: list[str] = []
    with suppress(EnoughLooksError):
        names.extend(one.name for one in watch.follow())
    return names


def table_of(watch: Watch) -> list[dict[str, str]]:
    with (watch.output / "table.csv").open() as file:
        return list(csv.DictReader(file))


def train(out: Path, steps: Iterable[int]) -> None:
    for step in steps:
        save_tiny(out / f"checkpoint-{step}", seed=step)


def test_rows_equal_those_of_evaluate_and_come_once_in_the_order_of_steps(
    out: Path, texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(device="cpu", layers="0,last", limit=5)
    watch, said = opened(out, texts, settings)
    names = follow(watch, monkeypatch, lambda: train(out, [100, 20]), None, lambda: train(out, [3]), None, None)
    assert names == ["checkpoint-20", "checkpoint-100", "checkpoint-3"]
    assert said.count("does not exist yet") == 1
    assert said.count("twin 0 is in the cache") == 2  # one twin for all checkpoints
    rows = table_of(watch)
    assert [(row["checkpoint"], row["step"], row["layer"]) for row in rows] == [
        (f"checkpoint-{step}", str(step), layer) for step in (3, 20, 100) for layer in ("0", "last")
    ]
    for step in (3, 20, 100):
        reference = str(out.resolve() / f"checkpoint-{step}")
        run = rs.evaluate(reference, str(texts), output=tmp_path / f"alone-{step}", settings=settings)
        mine = [row for row in rows if row["step"] == str(step)]
        for theirs, row in zip(run.summary_rows(), mine, strict=True):
            assert {key: "" if value is None else str(value) for key, value in theirs.items()} == {
                key: value for key, value in row.items() if key not in ("checkpoint", "step")
            }
    assert "| checkpoint-20 | 20 |" in (watch.output / "table.md").read_text()


def test_another_watch_goes_on_and_measures_nothing_twice(
    out: Path, texts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(out, [5, 10])
    first, _ = opened(out, texts)
    assert follow(first, monkeypatch, None) == ["checkpoint-5", "checkpoint-10"]
    before = {file: file.stat().st_mtime_ns for file in first.output.rglob("*.parquet")}
    (first.output / "table.csv").unlink()  # as a kill before it was written would leave it
    second, said = opened(out, texts)
    follow(second, monkeypatch, lambda: train(out, [15]), None)
    assert {row["checkpoint"] for row in table_of(second)} == {"checkpoint-5", "checkpoint-10", "checkpoint-15"}
    assert [said.count(f"{name}: loading") for name in ("checkpoint-5", "checkpoint-10", "checkpoint-15")] == [0, 0, 1]
    assert {file: file.stat().st_mtime_ns for file in before} == before
    waiting = [one.waiting for one in second.kept.finished()]
    assert waiting == [2, 1, 0]


def test_it_ends_with_the_step_that_was_asked_for(out: Path, texts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train(out, [10, 20, 30, 40])
    for step, expected in ((20, [10, 20]), (25, [10, 20, 30])):  # the first at or after it
        watch, said = opened(out, texts, until_step=step)
        assert follow(watch, monkeypatch, None) == [f"checkpoint-{one}" for one in expected]
        assert said.lines[-1] == f"step {step} has been measured"
    follow(opened(out, texts, until_step=30)[0], monkeypatch, None)
    assert len(table_of(watch)) == 3


def test_an_earlier_checkpoint_that_is_still_written_is_waited_for(
    out: Path, texts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(out, [5, 20])

    def write() -> None:
        (out / "checkpoint-5" / "optimizer.pt").write_text("x")

    watch, _ = opened(out, texts, until_step=20)
    assert follow(watch, monkeypatch, write, None) == ["checkpoint-20", "checkpoint-5"]


def test_it_ends_when_nothing_changes(out: Path, texts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(watching, "monotonic", lambda: clock[0])

    def minute() -> None:
        clock[0] += 60

    watch, said = opened(out, texts, idle_minutes=2.5)
    acts = [minute, minute, lambda: (minute(), train(out, [5])), *[minute] * 9]
    assert follow(watch, monkeypatch, *acts) == ["checkpoint-5"]
    assert said.lines[-1] == "nothing has changed for 2.5 minutes"
    assert clock[0] == 60 * (3 + 1 + 3)  # until it comes, until it is measured, and until 2.5 minutes are over


def test_checkpoints_that_are_removed_are_noted_and_skipped(
    out: Path, texts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(out, [5, 10, 15])
    watch, said = opened(out, texts)

    def rotate() -> None:
        shutil.rmtree(out / "checkpoint-5")

    real = watching.evaluate

    def while_it_is_measured(model: str, *arguments: object, **settings: object) -> object:
        if model.endswith("checkpoint-10"):
            shutil.rmtree(model)
        return real(model, *arguments, **settings)

    monkeypatch.setattr(watching, "evaluate", while_it_is_measured)
    assert follow(watch, monkeypatch, rotate, None, None) == ["checkpoint-15"]
    assert watch.removed == {"checkpoint-5", "checkpoint-10"}
    assert said.count("checkpoint-5 was removed before it was measured") == 1
    assert said.count("checkpoint-10 was removed before it was measured") == 1
    shutil.rmtree(out / "checkpoint-15")
    again, said = opened(out, texts)
    assert follow(again, monkeypatch, None) == ["checkpoint-15"]  # its row stays
    assert said.count("checkpoint-15 was removed") == 0


def test_a_broken_checkpoint_is_told_once_for_each_change_and_stops_nothing(
    out: Path, texts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(out, [5, 10, 15])
    (out / "checkpoint-5" / "model.safetensors").write_bytes(b"\x05" + bytes(7) + b"[1,2]")
    config = out / "checkpoint-10" / "config.json"
    right = config.read_text()
    config.write_text(json.dumps(json.loads(right) | {"model_type": "no such thing"}))  # whole, and of no use
    watch, said = opened(out, texts)
    assert follow(watch, monkeypatch, None, None, None) == ["checkpoint-15"]
    assert watch.unreadable == {"checkpoint-5", "checkpoint-10"}
    assert said.count("checkpoint-5 is not complete: model.safetensors is truncated") == 1
    assert said.count("checkpoint-10 cannot be measured: ") == 1
    watch, said = opened(out, texts)
    assert follow(watch, monkeypatch, None, lambda: config.write_text(right), None, None)[-1] == "checkpoint-10"
    assert watch.unreadable == {"checkpoint-5"}


def test_weights_that_change_while_they_are_loaded_are_measured_at_a_later_look(
    out: Path, texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rankscope.models import transformers_backend

    train(out, [5])
    other = save_tiny(tmp_path / "other", seed=77)
    real, loaded = transformers_backend.load_model, []

    def load(*arguments: object) -> object:
        model = real(*arguments)
        if not loaded:
            shutil.copy(other / "model.safetensors", out / "checkpoint-5")
        loaded.append(model)
        return model

    monkeypatch.setattr(transformers_backend, "load_model", load)
    watch, said = opened(out, texts)
    assert follow(watch, monkeypatch, None, None, None) == ["checkpoint-5"]
    assert len(loaded) == 2
    assert said.count("checkpoint-5 changed while it was read") == 1
    assert said.count("starting again") == 1
    alone = rs.evaluate(str(other), str(texts), output=tmp_path / "alone", settings=FAST).summary_rows()[0]
    assert table_of(watch)[0]["effective_rank"] == str(alone["effective_rank"])


def test_a_measured_checkpoint_with_other_weights_is_told_and_keeps_its_row(
    out: Path, texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(out, [5, 10])
    watch, said = opened(out, texts)
    other = save_tiny(tmp_path / "other", seed=77)

    def touch() -> None:
        (out / "checkpoint-10" / "later.txt").touch()

    def train_again() -> None:
        shutil.copy(other / "model.safetensors", out / "checkpoint-5")

    follow(watch, monkeypatch, None, touch, None, train_again, None, None, None)
    before = table_of(watch)
    assert said.count("checkpoint-5 has different weights than when it was measured") == 1
    assert said.count("checkpoint-10 has different weights") == 0
    watch, said = opened(out, texts)
    follow(watch, monkeypatch, None, None)
    assert said.count("checkpoint-5 has different weights than when it was measured") == 1
    assert table_of(watch) == before


def test_texts_that_change_end_the_watch(out: Path, texts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train(out, [5])
    watch, _ = opened(out, texts)

    def change() -> None:
        texts.write_text("\n".join(SENTENCES[:3]))
        train(out, [10])

    with pytest.raises(DataError, match="changed while"):
        follow(watch, monkeypatch, None, change, None, None)
    assert [one.name for one in watch.kept.finished()] == ["checkpoint-5"]
    with pytest.raises(RunFolderError, match="was measured on other texts of texts.txt"):
        opened(out, texts)
    texts.write_text("\n".join(SENTENCES))
    again, _ = opened(out, texts)
    assert follow(again, monkeypatch, None, None) == ["checkpoint-5", "checkpoint-10"]
    assert len({row["tokens"] for row in table_of(again)}) == 1


def test_a_setting_that_fits_no_checkpoint_ends_the_watch(
    out: Path, texts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(out, [5])
    watch, _ = opened(out, texts, Settings(layers="99", device="cpu"))
    with pytest.raises(UnknownNameError, match="99"):
        follow(watch, monkeypatch, None, None)


def test_wrong_calls_are_refused_before_anything_is_waited_for(out: Path, texts: Path, tmp_path: Path) -> None:
    def refused(folder: Path, data: list[str], output: Path) -> str:
        with pytest.raises(rs.RankscopeError) as caught:
            open_watch(folder, data, output, FAST, WatchSettings(), Silent())
        assert caught.value.exit_status == 2
        return str(caught.value)

    assert "is a file" in refused(texts, [str(texts)], tmp_path / "a")
    assert "at least one data set" in refused(out, [], tmp_path / "a")
    assert "choose another --output" in refused(out, [str(texts)], out)
    assert "nowhere.txt" in refused(out, [str(tmp_path / "nowhere.txt")], tmp_path / "a")
    opened(out, texts)
    with pytest.raises(RunFolderError, match="limit is null there and 3 in this call"):
        opened(out, texts, Settings(untrained_seeds=0, device="cpu", metrics="effective_rank,loss", limit=3))
    assert not (tmp_path / "a").exists()
