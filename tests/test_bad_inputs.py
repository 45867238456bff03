"""Whatever is wrong with an input, the command line says so in one line and exits with the right status.

A sample of the generated inputs runs always; RANKSCOPE_BAD_INPUTS=1000 runs them all.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import signal
from pathlib import Path
from types import FrameType

import huggingface_hub
import pytest

from bad_inputs import BadInput, bad_input, numbers
from rankscope.cli import main
from tiny import SENTENCES

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),  # of the libraries that read what is broken
]

COUNT = int(os.environ.get("RANKSCOPE_BAD_INPUTS", "100"))
LONGEST = 60
"""Seconds that one input may take."""


def call(arguments: tuple[str, ...]) -> tuple[object, str]:
    """The exit status, and what came on standard error."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main(arguments)
        except SystemExit as exit_:
            return exit_.code or 0, err.getvalue()
    return "no exit", err.getvalue()


def faults(given: BadInput, status: object, err: str) -> list[str]:
    """What is wrong with the answer to a bad input."""
    found = []
    if status not in given.statuses:
        found.append(f"exit status {status}, not {' or '.join(map(str, sorted(given.statuses)))}")
    if "Traceback" in err or "unexpected" in err:
        found.append("a traceback, or an unexpected error")
    messages = [line for line in err.splitlines() if line.startswith("rankscope: ")]
    if status != 0 and (len(messages) != 1 or not err.endswith(f"{messages[0]}\n")):
        found.append("no message of one line at the end")
    return found


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory, tiny_folder: Path) -> tuple[Path, Path, Path]:
    """A model, a data file and a finished run."""
    folder = tmp_path_factory.mktemp("good")
    data = folder / "texts.jsonl"
    data.write_text("".join(json.dumps({"text": text}) + "\n" for text in SENTENCES[:4]))
    status, err = call(
        ("evaluate", str(tiny_folder), "--data", str(data), "--field", "text", "--output", str(folder / "run"))
    )
    assert status == 0, err
    return tiny_folder, data, folder / "run"


@contextlib.contextmanager
def limited_to(seconds: int):
    def stop(_signal: int, _frame: FrameType | None) -> None:
        pytest.fail(f"took more than {seconds} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("number", tuple(numbers(COUNT)))
def test_a_bad_input_is_refused_in_one_line(
    number: int, good: tuple[Path, Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.chdir(tmp_path)
    given = bad_input(number, tmp_path, good)
    with limited_to(LONGEST):
        status, err = call(given.arguments)
    assert not faults(given, status, err), (
        f"{given.kind}: {faults(given, status, err)}\nrankscope {' '.join(map(repr, given.arguments))}\n{err[-3000:]}"
    )
    shutil.rmtree(tmp_path, ignore_errors=True)
