"""One run from the folders of its shards, or a refusal that says why not."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

import rankscope as rs
from rankscope.errors import RunFolderError, SettingsError
from rankscope.runs.progress import Silent

pytestmark = pytest.mark.slow

CALL = {"models": "pico-0.1m", "data": "stdlib-docs", "limit": 8, "batch_tokens": 150, "device": "cpu"}


class Told(Silent):
    """Remembers what was said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, message: str) -> None:
        self.said.append(message)


@pytest.fixture(scope="module")
def single(tmp_path_factory: pytest.TempPathFactory) -> rs.Run:
    return rs.evaluate(**CALL, output=tmp_path_factory.mktemp("single") / "run", twin_cache=False)


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three shards, each in a folder of its own."""
    folder = tmp_path_factory.mktemp("parts")
    for number in range(3):
        rs.evaluate(**CALL, output=folder / str(number), shard=f"{number}/3", twin_cache=False)
    return [folder / str(number) for number in range(3)]


@pytest.fixture
def parts(measured: list[Path], tmp_path: Path) -> list[Path]:
    return [Path(shutil.copytree(part, tmp_path / f"part-{part.name}")) for part in measured]


def batches(part: Path) -> list[Path]:
    return sorted(part.glob("measurements/parts/*/*.parquet"))


def test_parts_make_the_run_of_one_process(single: rs.Run, parts: list[Path], tmp_path: Path) -> None:
    told = Told()
    run = rs.merge(parts, tmp_path / "whole", told)
    assert run.measurements().equals(single.measurements())
    assert run.spectra().equals(single.spectra())
    assert run.summary_document() == single.summary_document()
    assert (run.path / "summary.json").read_bytes() == (single.path / "summary.json").read_bytes()
    assert told.said[0] == "3 folders hold all batches, each once"
    names = [{file.relative_to(one.path) for file in one.path.glob("measurements/**/*")} for one in (run, single)]
    assert names[0] == names[1]
    assert len(run.manifest()["sessions"]) == 3
    again = rs.evaluate(**CALL, output=run.path, twin_cache=False)  # a plain run takes it for its own
    assert again.summary_document() == single.summary_document()
    assert again.manifest()["sessions"][-1]["measured"] == []


def test_one_folder_of_all_shards_is_finished_where_it_is(single: rs.Run, parts: list[Path]) -> None:
    run = rs.merge(parts, parts[1])
    assert run.path == parts[1]
    assert run.summary_document() == single.summary_document()
    assert rs.merge([run.path], run.path).measurements().equals(single.measurements())


def test_a_merge_that_was_stopped_goes_on(
    single: rs.Run, parts: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rankscope.runs.folder import RunFolder

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(RunFolder, "finish_unit", stop)
        with pytest.raises(KeyboardInterrupt):
            rs.merge(parts, tmp_path / "whole")
    told = Told()
    assert rs.merge(parts, tmp_path / "whole", told).summary_document() == single.summary_document()
    assert told.said[0] == "3 folders hold all batches, each once"


def test_a_batch_that_is_missing_is_named(parts: list[Path], tmp_path: Path) -> None:
    gone = batches(parts[1])[0]
    gone.unlink()
    name = f"{gone.parent.name} {int(gone.stem)}"
    with pytest.raises(RunFolderError, match=rf"are not a complete run: 1 batch is missing \({name}\)\. Measure what"):
        rs.merge(parts, tmp_path / "whole")
    assert not (tmp_path / "whole").exists()
    with pytest.raises(RunFolderError, match=r"batches are missing|unit has not been started"):
        rs.merge(parts[:1], tmp_path / "whole")
    with pytest.raises(RunFolderError, match=r"is not finished: .*(missing|not been started).* the missing shards"):
        rs.Run(parts[0]).summary()


def other_numbers(part: Path) -> None:
    file = batches(part)[0]
    pl.read_parquet(file).with_columns(pl.col("loss") + 1).write_parquet(file)


def copied(parts: list[Path]) -> Path:
    """A batch of the first part, in the second one as well."""
    file = batches(parts[0])[0]
    twin = parts[1] / file.relative_to(parts[0])
    twin.parent.mkdir(exist_ok=True)
    return Path(shutil.copy(file, twin))


def test_a_batch_that_is_there_twice(single: rs.Run, parts: list[Path], tmp_path: Path) -> None:
    twin = copied(parts)
    told = Told()
    run = rs.merge(parts, tmp_path / "whole", told)
    assert run.measurements().equals(single.measurements())
    name = twin.relative_to(parts[1])
    assert told.said[0] == f"{name} is in several folders with the same numbers, and counts once"
    pl.read_parquet(twin).with_columns(pl.col("loss") + 1).write_parquet(twin)
    with pytest.raises(RunFolderError, match=f"part-0 and .*part-1 contain different numbers for {name}"):
        rs.merge(parts, tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_a_batch_beside_the_finished_unit(single: rs.Run, parts: list[Path], tmp_path: Path) -> None:
    assert rs.merge([single.path, parts[0]], tmp_path / "whole").measurements().equals(single.measurements())
    other_numbers(parts[0])
    with pytest.raises(RunFolderError, match="contain different numbers for measurements/parts/"):
        rs.merge([single.path, parts[0]], tmp_path / "other")


def edited(file: Path, change: Callable[[dict], object]) -> None:
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))


def test_parts_of_another_run(parts: list[Path], tmp_path: Path) -> None:
    edited(parts[1] / "manifest.json", lambda it: it["identity"]["settings"].update(limit=9))
    with pytest.raises(RunFolderError, match=r"part-1 and .*part-0 belong to different runs: limit is 9 and 8"):
        rs.merge(parts, tmp_path / "whole")


def test_parts_of_other_tokens(parts: list[Path], tmp_path: Path) -> None:
    (unit,) = {file.name for file in parts[0].glob("units/*")} & {file.name for file in parts[1].glob("units/*")}
    edited(parts[1] / "units" / unit, lambda it: it.update(tokens="0"))
    with pytest.raises(RunFolderError, match=rf"part-1: {Path(unit).stem} was measured on other tokens"):
        rs.merge(parts, tmp_path / "whole")


def test_folders_that_are_no_parts(parts: list[Path], tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="at least one run folder"):
        rs.merge([], tmp_path / "whole")
    with pytest.raises(RunFolderError, match="is not a run folder"):
        rs.merge([tmp_path / "nothing"], tmp_path / "whole")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("precious")
    with pytest.raises(RunFolderError, match=r"contains other files \(thesis.tex\)"):
        rs.merge(parts, tmp_path / "full")
    edited(parts[0] / "manifest.json", lambda it: it.update(schema=1, sessions=[]))
    with pytest.raises(RunFolderError, match="part-0 was made by an earlier version"):
        rs.merge(parts, tmp_path / "whole")
