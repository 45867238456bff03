from __future__ import annotations

import importlib.util

import pytest

from rankscope.cli import main


def test_a_missing_part_is_named_with_its_extra(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "PIL" else real(name, *rest))
    with pytest.raises(SystemExit) as exit_:
        main(["doctor"])
    assert not exit_.value.code
    assert "pip install 'rankscope[vision]'" in capsys.readouterr().out
