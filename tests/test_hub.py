"""What a call says where the hub refuses or does not answer; asked of a small hub on this machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from hub_server import HubServer
from rankscope.errors import DataError, ModelError
from rankscope.hub import reach_hub
from tiny import SENTENCES

_CALLS = """
import io, json, os, sys, time
from contextlib import redirect_stderr, redirect_stdout
from rankscope.cli import main
slept = []
time.sleep = slept.append
for line in sys.stdin:
    call = json.loads(line)
    os.environ.pop("HF_TOKEN", None)
    os.environ.update(call["environment"])
    slept.clear()
    with redirect_stderr(io.StringIO()) as told, redirect_stdout(io.StringIO()) as printed:
        try:
            main(call["arguments"])
        except SystemExit as end:
            status = end.code or 0
    print(json.dumps([status, printed.getvalue(), told.getvalue(), sum(slept)]), flush=True)
"""
"""Calls one after the other in one process, since importing takes longer than all of them."""


@dataclass(frozen=True)
class Outcome:
    """Of a call: its exit status, what it printed on both streams, and how many seconds it asked to wait."""

    status: int
    printed: str
    told: str
    slept: float

    @property
    def error(self) -> str:
        """The line of a call that failed at once, after the line that says what is done first."""
        assert (self.status, self.slept) == (2, 0)
        first, line = self.told.splitlines()
        assert first == "reading texts, tokenizers and configurations"
        return line.removeprefix("rankscope: ")


@dataclass
class Caller:
    """`rankscope evaluate` in a process of its own."""

    process: subprocess.Popen[str]
    folder: Path
    calls: int = 0

    def __call__(self, model: str, data: str | None = None, **environment: str) -> Outcome:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.calls += 1
        options = ("--field", "text", "--untrained-seeds", "0", "--output", str(self.folder / str(self.calls)))
        arguments = ("evaluate", model, "--data", data or str(self.folder / "texts.jsonl"), *options)
        self.process.stdin.write(json.dumps({"arguments": arguments, "environment": environment}) + "\n")
        self.process.stdin.flush()
        return Outcome(*json.loads(self.process.stdout.readline()))


@contextmanager
def calling(address: str, folder: Path) -> Iterator[Caller]:
    """A caller with the hub at an address and a cache of its own."""
    (folder / "texts.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in SENTENCES))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    environment |= {"HF_ENDPOINT": address, "HF_HOME": str(folder / "home"), "NO_PROXY": "127.0.0.1"}
    with subprocess.Popen(
        [sys.executable, "-c", _CALLS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        yield Caller(process, folder)
        process.communicate()


@pytest.fixture(scope="module")
def outcomes(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Outcome]:
    """Calls to a hub that answers, and then to the same one when it is gone."""
    folder = tmp_path_factory.mktemp("calls")
    lines = folder / "lines"
    lines.mkdir()
    (lines / "train.jsonl").write_text(json.dumps({"text": SENTENCES[0]}) + "\n")
    gated = {"owner/gated": tiny_folder, "datasets/owner/gated": lines}
    hub = HubServer(gated | {"owner/open": tiny_folder, "owner/other": tiny_folder}, gated=frozenset(gated))
    with calling(address := hub.start(), folder) as call:
        found = {
            "absent": call("owner/absent"),
            "absent with a token": call("owner/absent", HF_TOKEN=hub.token),
            "absent data": call("pico", "owner/absent"),
            "gated": call("owner/gated"),
            "gated data": call("pico", "owner/gated"),
            "wrong token": call("owner/gated", HF_TOKEN="hf_wrong"),
            "revision": call("owner/open@v9"),
            "right token": call("owner/gated", HF_TOKEN=hub.token),
            "right token, data": call("pico", "owner/gated", HF_TOKEN=hub.token),
            "open": call("owner/open"),
        }
        hub.stop()
        found |= {
            "unreachable": call("owner/other"),
            "unreachable data": call("pico", "owner/absent"),
            "unreachable, in the cache": call("owner/open"),
        }
    return {name: _at(outcome, address, folder) for name, outcome in found.items()}


def _at(outcome: Outcome, address: str, folder: Path) -> Outcome:
    """With HUB for the hub's address and HOME for the cache."""
    told = outcome.told.replace(address, "HUB").replace(str(folder / "home"), "HOME")
    return Outcome(outcome.status, outcome.printed, told, outcome.slept)


@pytest.mark.slow
def test_a_refusal_is_one_line_that_says_what_to_do(outcomes: Mapping[str, Outcome]) -> None:
    log_in = "log in with `hf auth login` or set HF_TOKEN"
    assert outcomes["absent"].error == (
        f"no model owner/absent on the hub (HUB/owner/absent): check the spelling; if it is private, {log_in}"
    )
    assert outcomes["absent with a token"].error.endswith("if it is private, make sure that your token can read it")
    assert outcomes["absent data"].error == (
        "no data set owner/absent on the hub (HUB/datasets/owner/absent): check the spelling; "
        f"if it is private, {log_in}"
    )
    assert outcomes["gated"].error == f"model owner/gated is gated: accept its terms at HUB/owner/gated, then {log_in}"
    assert "accept its terms at HUB/datasets/owner/gated" in outcomes["gated data"].error
    assert outcomes["wrong token"].error.startswith("the hub rejected your token")
    assert outcomes["revision"].error.startswith("model owner/open has no revision 'v9'")


@pytest.mark.slow
def test_the_token_of_the_environment_opens_what_is_gated(outcomes: Mapping[str, Outcome]) -> None:
    assert "owner/gated" in outcomes["right token"].printed
    assert "owner/gated" in outcomes["right token, data"].printed


@pytest.mark.slow
def test_a_hub_that_does_not_answer_is_asked_once(outcomes: Mapping[str, Outcome]) -> None:
    line = outcomes["unreachable"].error
    assert line.startswith("cannot reach the hub at HUB (")
    assert line.endswith(
        "and owner/other is not in the hub's cache (HOME/hub): check the connection, or use local files"
    )
    assert "and owner/absent is not in the hub's cache" in outcomes["unreachable data"].error


@pytest.mark.slow
def test_what_is_in_the_cache_needs_no_hub(outcomes: Mapping[str, Outcome]) -> None:
    cached, fresh = outcomes["unreachable, in the cache"], outcomes["open"]
    assert cached.status == fresh.status == 0
    assert cached.slept == 0
    assert cached.printed.splitlines()[:2] == fresh.printed.splitlines()[:2]
    assert "warning: the hub is unreachable: using the cached copy of owner/open" in cached.told
    assert "warning" not in fresh.told


@pytest.mark.parametrize(("kind", "error"), [("model", ModelError), ("dataset", DataError)])
def test_offline_mode_asks_nothing(
    kind: str, error: type[DataError | ModelError], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(error, match="is not in the hub's cache .* and HF_HUB_OFFLINE prevents downloading it"):
        reach_hub("owner/name", kind, "config.json", error=error)
    place = tmp_path / f"{kind}s--owner--name"
    (place / "refs").mkdir(parents=True)
    (place / "refs" / "main").write_text("abc")
    (place / "snapshots" / "abc").mkdir(parents=True)
    (place / "snapshots" / "abc" / "config.json").write_text("{}")
    assert reach_hub("owner/name", kind, "config.json", error=error) is False


def test_a_commit_that_is_here_is_not_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commit = "0123456789abcdef0123456789abcdef01234567"
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.get_hf_file_metadata", lambda *_, **__: pytest.fail("the hub was asked"))
    snapshot = tmp_path / "models--owner--name" / "snapshots" / commit
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_text("{}")
    assert reach_hub("owner/name", "model", "config.json", commit, error=ModelError)


def test_what_is_no_hub_id() -> None:
    with pytest.raises(ModelError, match="'a--b' is not a hub id"):
        reach_hub("a--b", "model", "config.json", error=ModelError)
