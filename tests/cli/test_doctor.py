from __future__ import annotations

import importlib.util
import tomllib
from pathlib import Path
from typing import get_args

import pytest

from rankscope.cli import main
from rankscope.integrations.trackers import Tracker


def test_a_missing_part_is_named_with_its_extra(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "ray" else real(name, *rest))
    with pytest.raises(SystemExit) as exit_:
        main(["doctor"])
    assert not exit_.value.code
    assert "pip install 'rankscope[ray]'" in capsys.readouterr().out


def test_trackers_and_the_hub_are_among_what_is_shown(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    with pytest.raises(SystemExit):
        main(["doctor"])
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines() if line}
    assert set(get_args(Tracker)) <= set(lines)
    assert "with a token" in lines["hub"]
    assert "hf_secret" not in "".join(lines.values())


def test_each_extra_that_it_names_is_declared(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    monkeypatch.setattr(importlib.util, "find_spec", lambda *_: None)
    with pytest.raises(SystemExit):
        main(["doctor"])
    named = {line.split("[")[1].split("]")[0] for line in capsys.readouterr().out.splitlines() if "rankscope[" in line}
    assert named == set(project["optional-dependencies"]) - {"docs", "lint", "test"}
