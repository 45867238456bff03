from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest

from rankscope.errors import RunFolderError, SettingsError, StorageError
from rankscope.models import GenerationSettings
from rankscope.runs import respond
from rankscope.runs import responses as module
from rankscope.runs.manifest import read_manifest
from rankscope.runs.progress import Silent
from rankscope.settings import Settings
from rankscope.texts import read_responses
from tiny import SENTENCES, save_tiny

pytestmark = pytest.mark.slow

SHORT = GenerationSettings(max_new_tokens=8, batch_size=2)


class Told(Silent):
    def __init__(self) -> None:
        self.said: list[str] = []
        self.done: list[tuple[int, bool]] = []

    def say(self, message: str) -> None:
        self.said.append(message)

    def advance(self, done: int, *, computed: bool) -> None:
        self.done.append((done, computed))


@pytest.fixture
def prompts(tmp_path: Path) -> Path:
    file = tmp_path / "prompts.jsonl"
    file.write_text("".join(json.dumps({"uid": f"p{n}", "prompt": s}) + "\n" for n, s in enumerate(SENTENCES[:5])))
    return file


def answer(prompts: Path, output: Path, settings: GenerationSettings = SHORT, **options: Any) -> Path:
    return respond("pico", str(prompts), output=output, settings=settings, loading=Settings(field="prompt"), **options)


def rows(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_a_line_for_each_prompt_and_unfinished_ones_are_counted(prompts: Path, tmp_path: Path) -> None:
    told = Told()
    file = answer(prompts, tmp_path / "out", progress=told)
    assert file == tmp_path / "out" / "responses.jsonl"
    found = rows(file)
    assert [row["id"] for row in found] == ["p0", "p1", "p2", "p3", "p4"]
    assert [row["prompt"] for row in found] == list(SENTENCES[:5])
    assert {row["model"] for row in found} == {"pico"}
    unfinished = sum(not row["finished"] for row in found)
    assert unfinished == sum(row["tokens"] == 8 for row in found) > 0
    assert told.said[-1] == f"5 of 5 prompts answered; {unfinished} responses were cut off at 8 tokens"
    assert told.done == [(1, True)] * 5
    (texts,) = read_responses(file).values()
    assert [text.text for text in texts.texts] == [row["response"] for row in found]
    (session,) = read_manifest(tmp_path / "out")["sessions"]
    assert session["responses"] == {"prompts": 5, "answered": 5, "unfinished": unfinished, "unanswered": 0}


def test_resumed_is_uninterrupted(prompts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = answer(prompts, tmp_path / "whole").read_bytes()
    file = answer(prompts, tmp_path / "killed")
    lines = whole.splitlines(keepends=True)
    file.write_bytes(b"".join(lines[:3]) + lines[3][:40])  # what a kill leaves
    told = Told()
    assert answer(prompts, tmp_path / "killed", progress=told).read_bytes() == whole
    assert told.done == [(3, False), (1, True), (1, True)]

    monkeypatch.setattr(module, "load_model", None)  # nothing is missing: no weights are loaded
    assert answer(prompts, tmp_path / "killed").read_bytes() == whole


def test_what_was_finished_before_a_failure_is_kept(
    prompts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flush, calls = os.fsync, []

    def full(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) > 5:  # the manifest, the unit, the session and two responses
            raise OSError(errno.ENOSPC, "No space left on device")
        flush(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match=r"could not write .*responses.jsonl: No space left on device"):
        answer(prompts, tmp_path / "out")
    assert [row["id"] for row in rows(tmp_path / "out" / "responses.jsonl")][:2] == ["p0", "p1"]


def test_other_settings_are_refused_but_for_the_batch_size(prompts: Path, tmp_path: Path) -> None:
    file = answer(prompts, tmp_path / "out")
    before = file.read_bytes()
    answer(prompts, tmp_path / "out", GenerationSettings(max_new_tokens=8, batch_size=1))
    with pytest.raises(RunFolderError, match=r"temperature is 0\.7 there and 0\.1 in this call"):
        answer(prompts, tmp_path / "out", GenerationSettings(max_new_tokens=8, temperature=0.1))
    prompts.write_text(prompts.read_text().replace("quick", "slow"))
    with pytest.raises(RunFolderError, match="was measured on other prompts of .*: they have changed since"):
        answer(prompts, tmp_path / "out")
    assert file.read_bytes() == before


def test_prompts_without_room_are_kept_with_their_reason(prompts: Path, tmp_path: Path) -> None:
    with prompts.open("a") as file:
        file.write(json.dumps({"uid": "long", "prompt": "word " * 400}) + "\n")
    told = Told()
    found = answer(prompts, tmp_path / "out", progress=told)
    (long,) = (row for row in rows(found) if row["id"] == "long")
    assert [long[name] for name in ("response", "tokens", "finished")] == [None] * 3
    assert all(row.keys() == long.keys() for row in rows(found))
    assert "exceed the model's 256 positions" in long["reason"]
    assert told.said[-1].endswith("; 1 prompts left no room for an answer")
    (skipped,) = read_responses(found)["pico"].skipped
    assert (skipped.id, skipped.reason) == ("long", long["reason"])
    with pytest.raises(SettingsError, match=r"pico cannot answer any of 6 prompts \(.*\): lower max_new_tokens"):
        answer(prompts, tmp_path / "other", GenerationSettings())


def test_another_chat_template_or_stop_token_is_refused(prompts: Path, tmp_path: Path) -> None:
    model = save_tiny(tmp_path / "tiny")
    loading = Settings(field="prompt")

    def ask() -> Path:
        return respond(str(model), str(prompts), output=tmp_path / "out", settings=SHORT, loading=loading)

    before = ask().read_bytes()
    config = model / "generation_config.json"
    given = config.read_text()
    config.write_text(json.dumps(json.loads(given) | {"eos_token_id": 7}))
    with pytest.raises(RunFolderError, match="with another generation configuration of .*tiny: generation conf"):
        ask()
    config.write_text(given)
    (model / "chat_template.jinja").write_text("{{ messages[0].content }}")
    with pytest.raises(RunFolderError, match="with another chat template of .*tiny: chat template has changed since"):
        ask()
    (model / "chat_template.jinja").unlink()
    assert ask().read_bytes() == before
