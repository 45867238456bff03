"""Run, edit, run again: measured anew, or refused with what changed."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

import rankscope as rs
from rankscope.errors import RunFolderError
from rankscope.models import describe_model, parse_model_reference
from rankscope.runs import Progress, Silent
from rankscope.runs.folder import RunFolder, open_run_folder
from rankscope.runs.identity import model_entry, refuse_another_unit
from rankscope.runs.manifest import UnitRecord
from rankscope.runs.storage import LocalFolder
from tiny import SENTENCES, save_tiny

pytestmark = pytest.mark.slow

SETTINGS = {"field": "text", "untrained_seeds": 1, "batch_tokens": 60, "device": "cpu"}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "texts.jsonl"
    path.write_text("".join(json.dumps({"id": f"s{n}", "text": text}) + "\n" for n, text in enumerate(SENTENCES)))
    return path


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return save_tiny(tmp_path / "tiny-llama")


def weights(model: Path) -> None:
    """One number in the middle, with the file's times set back."""
    file = model / "model.safetensors"
    before = file.stat()
    with file.open("rb+") as content:
        content.seek(before.st_size // 2)
        byte = content.read(1)[0]
        content.seek(before.st_size // 2)
        content.write(bytes([byte ^ 0x20]))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def tokenizer(model: Path) -> None:
    """Merges in another order: other tokens of the same texts."""
    file = model / "tokenizer.json"
    content = json.loads(file.read_text())
    content["model"]["merges"] = content["model"]["merges"][:10]
    file.write_text(json.dumps(content))


def configuration(model: Path) -> None:
    file = model / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"rms_norm_eps": 1e-3}))


def code(model: Path) -> None:
    (model / "modeling_own.py").write_text("other = 2\n")


EDITS = [
    (weights, r"with other weights of .*tiny-llama: model.safetensors has changed since\. Choose another --output$"),
    (tokenizer, r"with another tokenizer of .*tiny-llama: tokenizer has changed since\. Choose another --output$"),
    (configuration, r"with another configuration of .*tiny-llama: configuration has changed since\. Choose"),
    (code, r"with other modelling code of .*tiny-llama: modeling_own.py has changed since\. Choose"),
]


@pytest.mark.parametrize(("edit", "message"), EDITS)
def test_an_edited_model_is_refused_with_what_changed(
    edit: Callable[[Path], None], message: str, model: Path, data: Path, tmp_path: Path
) -> None:
    (model / "modeling_own.py").write_text("one = 1\n")
    settings = SETTINGS | {"trust_remote_code": True}
    first = rs.evaluate(str(model), str(data), output=tmp_path / "run", **settings).measurements()
    edit(model)
    with pytest.raises(RunFolderError, match=message):
        rs.evaluate(str(model), str(data), output=tmp_path / "run", **settings)
    assert_frame_equal(rs.Run(tmp_path / "run").measurements(), first, check_exact=True)


@pytest.mark.parametrize("edit", [weights, tokenizer, configuration])
def test_an_edited_model_is_measured_anew_in_a_folder_of_its_own(
    edit: Callable[[Path], None], model: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    first = rs.evaluate(str(model), str(data), **SETTINGS)
    edit(model)
    second = rs.evaluate(str(model), str(data), **SETTINGS)
    assert second.path != first.path
    uncached = rs.evaluate(str(model), str(data), output=tmp_path / "x", twin_cache=False, **SETTINGS)
    assert_frame_equal(second.measurements(), uncached.measurements(), check_exact=True)
    numbers = [run.measurements().filter(role="trained")["matrix_entropy"].to_list() for run in (first, second)]
    assert numbers[0] != numbers[1]


def test_a_permuted_twin_is_not_that_of_a_model_with_another_number_in_the_middle(
    model: Path, data: Path, tmp_path: Path, own_twin_cache: Path
) -> None:
    settings = SETTINGS | {"protocol": "permuted"}
    rs.evaluate(str(model), str(data), output=tmp_path / "a", **settings)
    weights(model)
    cached = rs.evaluate(str(model), str(data), output=tmp_path / "b", **settings)
    assert len(list(own_twin_cache.glob("*.parquet"))) == 2
    uncached = rs.evaluate(str(model), str(data), output=tmp_path / "c", twin_cache=False, **settings)
    assert_frame_equal(cached.measurements(), uncached.measurements(), check_exact=True)


def test_a_permuted_twin_is_shared_by_equal_networks_with_equal_tokens(
    model: Path, data: Path, tmp_path: Path, own_twin_cache: Path
) -> None:
    """An added token that no text holds makes another tokenizer, and the same numbers."""
    settings = SETTINGS | {"protocol": "permuted"}
    rs.evaluate(str(model), str(data), output=tmp_path / "a", **settings)
    file = model / "tokenizer.json"
    content = json.loads(file.read_text())
    content["added_tokens"].append(content["added_tokens"][0] | {"id": 299, "content": "<never>"})
    file.write_text(json.dumps(content))
    rs.evaluate(str(model), str(data), output=tmp_path / "b", **settings)
    assert len(list(own_twin_cache.glob("*.parquet"))) == 1


class StopError(Exception): ...


class StopsAfter(Silent):
    def __init__(self, batches: int) -> None:
        self.left = batches

    def advance(self, done: int, *, computed: bool) -> None:
        self.left -= 1
        if not self.left:
            raise StopError


class Told(Silent):
    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, message: str) -> None:
        self.said.append(message)


def stop(model: Path, data: Path, output: Path, batches: int = 2) -> dict[Path, bytes]:
    """A run that is stopped in the middle of a unit; returns what is there."""
    with pytest.raises(StopError):
        rs.evaluate(str(model), str(data), output=output, progress=StopsAfter(batches), **SETTINGS)
    return contents(output)


def contents(output: Path) -> dict[Path, bytes]:
    return {file: file.read_bytes() for file in output.rglob("*") if file.is_file()}


def go_on(model: Path, data: Path, output: Path, progress: Progress | None = None) -> rs.Run:
    return rs.evaluate(str(model), str(data), output=output, progress=progress, **SETTINGS)


@pytest.mark.parametrize(("edit", "message"), EDITS[:3])
def test_a_stopped_run_of_an_edited_model_is_refused_and_kept(
    edit: Callable[[Path], None], message: str, model: Path, data: Path, tmp_path: Path
) -> None:
    there = stop(model, data, tmp_path / "run")
    assert any("parts" in str(file) for file in there)
    before = {file: file.read_bytes() for file in model.iterdir()}
    edit(model)
    with pytest.raises(RunFolderError, match=message):
        go_on(model, data, tmp_path / "run")
    assert contents(tmp_path / "run") == there
    for file, content in before.items():
        file.write_bytes(content)
    whole = go_on(model, data, tmp_path / "whole")
    assert_frame_equal(go_on(model, data, tmp_path / "run").measurements(), whole.measurements(), check_exact=True)


def sessions(run: Path) -> list[Path]:
    """Of the processes that worked on a run, the first one first."""
    return sorted((run / "sessions").iterdir())


def edit(file: Path, change: Callable[[dict], None]) -> None:
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))


def edit_versions(session: Path, **versions: str) -> None:
    edit(session, lambda content: content["versions"].update(versions))


@pytest.mark.parametrize("batches", [2, None])
def test_other_token_ids_of_the_same_tokenizer_are_refused(
    batches: int | None, model: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As another version of the libraries could make them: for finished batches, and for finished units."""
    if batches:
        stop(model, data, tmp_path / "run", batches)
    else:
        go_on(model, data, tmp_path / "run")
    edit_versions(sessions(tmp_path / "run")[0], tokenizers="0.1")
    there = contents(tmp_path / "run")
    import rankscope.runs.job as job

    plan_batches = job.plan_batches
    monkeypatch.setattr(
        job, "plan_batches", lambda texts, how, layout: plan_batches(texts, how, job.Layout(9, batch=layout.batch))
    )
    message = (
        r"the texts of 00-tiny-llama_.*_trained have different tokens than .* started with tokenizers 0.1, now .*Choose"
    )
    with pytest.raises(RunFolderError, match=message):
        go_on(model, data, tmp_path / "run")
    assert contents(tmp_path / "run") == there


def test_measurements_of_which_nothing_is_known_are_refused(model: Path, data: Path, tmp_path: Path) -> None:
    go_on(model, data, tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "units")
    with pytest.raises(
        RunFolderError, match=r"measurements of .*_trained, but no units/.*_trained\.json: were they copied"
    ):
        go_on(model, data, tmp_path / "run")


def test_a_unit_that_was_measured_in_another_way(tmp_path: Path) -> None:
    open_run_folder(tmp_path, {"settings": {}})
    folder, known = LocalFolder(tmp_path), UnitRecord("1", "2", 5)
    refuse_another_unit(folder, known, "u", UnitRecord("1", "2", 5))
    for other in (UnitRecord("1", "3", 5), UnitRecord("1", "2", 6)):
        with pytest.raises(RunFolderError, match="u was measured in another way than this version would measure it"):
            refuse_another_unit(folder, known, "u", other)


def test_other_versions_go_on_with_a_note(model: Path, data: Path, tmp_path: Path) -> None:
    stop(model, data, tmp_path / "run")
    edit_versions(sessions(tmp_path / "run")[0], torch="1.0")
    told = Told()
    run = go_on(model, data, tmp_path / "run", told)
    assert [line for line in told.said if "was started with torch 1.0, now" in line]
    (note,) = (note for note in run.notes() if note.name == "several-versions")
    assert "torch 1.0 and " in note.text
    both = run.manifest()["sessions"]
    assert [bool(session["finished"]) for session in both] == [False, True]
    assert both[0]["measured"] == [name for name in run.manifest()["units"] if name.endswith("_trained")]
    # A process that only looks measures nothing.
    sessions(tmp_path / "run")[0].unlink()
    assert "several-versions" not in [note.name for note in go_on(model, data, tmp_path / "run").notes()]
    edit_versions(sessions(tmp_path / "run")[-1], torch="2.0")
    assert "several-versions" not in [note.name for note in go_on(model, data, tmp_path / "run").notes()]


def as_an_earlier_version_left_it(run: Path, *, with_units: bool) -> None:
    manifest = rs.Run(run).manifest()
    del manifest["all_units"]
    if not with_units:
        del manifest["units"]
        for entry in manifest["identity"]["models"]:
            del entry["parts"]
            entry["fingerprint"] = "0" * 64
        for session in manifest["sessions"]:
            del session["measured"]
    (run / "manifest.json").write_text(json.dumps(manifest | {"schema": 1}))
    for folder in ("sessions", "units"):
        shutil.rmtree(run / folder)


@pytest.mark.parametrize("with_units", [True, False])
def test_a_folder_of_an_earlier_version_is_read_but_not_continued(
    model: Path, data: Path, tmp_path: Path, with_units: bool
) -> None:
    first = go_on(model, data, tmp_path / "old")
    before, measured = first.summary(), first.measurements()
    as_an_earlier_version_left_it(tmp_path / "old", with_units=with_units)
    there = contents(tmp_path / "old")
    with pytest.raises(RunFolderError, match=r"started by an earlier version .* report and compare can read it"):
        go_on(model, data, tmp_path / "old")
    assert contents(tmp_path / "old") == there
    old = rs.Run(tmp_path / "old")
    assert old.summary().equals(before)
    assert old.measurements().equals(measured)
    assert old.facts().versions == {}
    other = save_tiny(tmp_path / "other", seed=1)
    differences = rs.compare(old, go_on(other, data, tmp_path / "new")).differences
    assert "effective_rank" in {difference.metric for difference in differences}


def test_texts_that_changed_under_their_name(model: Path, data: Path, tmp_path: Path) -> None:
    go_on(model, data, tmp_path / "run")
    data.write_text(data.read_text().replace("fox", "dog"))
    with pytest.raises(RunFolderError, match=r"measured on other texts of texts.jsonl: they have changed since"):
        go_on(model, data, tmp_path / "run")


def test_a_revision_that_moved(tmp_path: Path) -> None:
    from rankscope.runs.identity import difference_in_words

    parts = describe_model(parse_model_reference("pico")).parts
    there, here = ({"models": [model_entry("owner/name", commit * 40, parts)]} for commit in "ab")
    said = difference_in_words(tmp_path, {"schema": 2, "identity": there, "sessions": []}, here)
    assert said is not None
    assert f"was measured at revision {'a' * 40} of owner/name, which is at {'b' * 40} now" in said
    assert said.endswith(f"name the revision: owner/name@{'a' * 40}")
    assert difference_in_words(tmp_path, {"schema": 2, "identity": there, "sessions": []}, there) is None


@pytest.mark.parametrize(("more", "gone", "word"), [("new.safetensors", None, "new"), (None, "b", "gone")])
def test_files_that_came_or_went(tmp_path: Path, more: str | None, gone: str | None, word: str) -> None:
    from rankscope.runs.identity import difference_in_words

    def entry(files: dict[str, str]) -> dict:
        return {"models": [{"reference": "m", "revision": None, "parts": {"weights": files}}]}

    before = {"a": "1", "b": "2"}
    now = {name: digest for name, digest in (before | ({more: "3"} if more else {})).items() if name != gone}
    said = difference_in_words(tmp_path, {"schema": 2, "identity": entry(before), "sessions": []}, entry(now))
    assert said is not None
    assert f"with other weights of m: {more or gone} is {word}. " in said


def test_a_finished_run_reads_no_weights_and_writes_no_batch(
    model: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = go_on(model, data, tmp_path / "run").measurements()
    monkeypatch.setattr(
        "rankscope.models.transformers_backend.load_model", lambda *_: pytest.fail("loaded weights for nothing")
    )
    monkeypatch.setattr(RunFolder, "write_batch", lambda *_: pytest.fail("measured for nothing"))
    assert_frame_equal(go_on(model, data, tmp_path / "run").measurements(), first, check_exact=True)
    assert isinstance(first, pl.DataFrame)
