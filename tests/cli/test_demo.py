from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from rankscope.cli import main

pytestmark = pytest.mark.slow


def numbers(folder: Path) -> list[dict]:
    return [json.loads((folder / name / "summary.json").read_text()) for name in ("sizes", "training")]


def test_offline_twice_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_network(*_: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr(socket.socket, "connect", no_network)
    monkeypatch.setattr("rankscope.cli.demo._TEXTS", 8)
    for name in ("one", "two"):
        with pytest.raises(SystemExit) as exit_:
            main(["demo", "--output", str(tmp_path / name)])
        assert not exit_.value.code
    assert numbers(tmp_path / "one") == numbers(tmp_path / "two")
    out = capsys.readouterr().out
    sizes, training = numbers(tmp_path / "one")
    assert [row["model"] for row in sizes["rows"]] == ["pico-0.1m", "pico-0.4m", "pico-1m", "pico-3m"]
    for row in sizes["rows"]:
        assert f"{row['effective_rank_untrained']:.2f} → {row['effective_rank']:.2f}" in out
        assert row["texts"] == 8
    for row in training["rows"]:
        assert f"{row['loss']:.3f}" in out
    for words in (
        "does not by itself mean a better model",
        "rankscope evaluate YOUR_MODEL",
        "pico@step-0",
        "pico@overfit",
    ):
        assert words in out


def test_nothing_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("rankscope.cli.demo._TEXTS", 3)
    with pytest.raises(SystemExit) as exit_:
        main(["demo"])
    assert not exit_.value.code
    assert list(tmp_path.iterdir()) == []
