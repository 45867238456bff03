from __future__ import annotations

import io
import re
import time

import pytest

from rankscope.runs import Lines, bar_on_stderr


def test_lines_now_and_then_with_rate_and_remaining_time(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    stream = io.StringIO()
    lines = Lines(stream)
    lines.start("m on d", 1000)
    for _ in range(10):
        clock[0] += 4
        lines.advance(100, computed=True)
    assert stream.getvalue().splitlines() == [
        "m on d: 1,000 tokens",
        "m on d: 30 %, 300 of 1,000 tokens, 25/s, 28 s left",
        "m on d: 60 %, 600 of 1,000 tokens, 25/s, 16 s left",
        "m on d: 90 %, 900 of 1,000 tokens, 25/s, 4 s left",
        "m on d: 100 %, 1,000 of 1,000 tokens, 25/s",
    ]


def test_what_was_there_already_does_not_count_as_speed(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    stream = io.StringIO()
    lines = Lines(stream)
    lines.start("m on d", 1000)
    lines.advance(500, computed=False)
    clock[0] = 10
    lines.advance(100, computed=True)
    assert stream.getvalue().splitlines()[-1] == "m on d: 60 %, 600 of 1,000 tokens, 10/s, 40 s left"


def test_the_bar(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    with bar_on_stderr() as bar:
        bar.say("loading [weights]")
        bar.start("m on d", 1000)
        bar.advance(600, computed=True)
        bar.start("m on d, twin 0", 500)
        bar.advance(500, computed=True)
    shown = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", capsys.readouterr().err)
    assert "loading [weights]" in shown
    assert "m on d, twin 0" in shown
    assert "500/500" in shown


def test_another_unit_and_slow_work(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    stream = io.StringIO()
    lines = Lines(stream)
    lines.start("m answers d", 4, "prompts")
    clock[0] = 20
    lines.advance(3, computed=True)
    assert stream.getvalue().splitlines() == [
        "m answers d: 4 prompts",
        "m answers d: 75 %, 3 of 4 prompts, 0.15/s, 7 s left",
    ]


def test_what_is_done_can_change_its_name(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    clock = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    stream = io.StringIO()
    lines = Lines(stream)
    lines.start("waiting for workers", 100)
    lines.relabel("1 worker: m on d")
    clock[0] = 4
    lines.advance(100, computed=True)
    assert stream.getvalue().splitlines()[-1] == "1 worker: m on d: 100 %, 100 of 100 tokens, 25/s"
    monkeypatch.setenv("FORCE_COLOR", "1")
    with bar_on_stderr() as bar:
        bar.start("waiting for workers", 100)
        bar.relabel("1 worker: m on d")
    assert "1 worker: m on d" in capsys.readouterr().err
