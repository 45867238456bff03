"""Accuracies are kept with all that they depend on, and measured anew where any of it has changed."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from questions import write_piqa
from rankscope.integrations import harness_version
from rankscope.runs import Silent
from rankscope.settings import Settings, StudyOptions
from rankscope.studies.accuracy import measure_accuracy
from rankscope.studies.study import Request
from tiny import save_tiny


def test_what_is_kept_is_measured_anew_where_it_depends_on_something_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, task = save_tiny(tmp_path / "tiny"), write_piqa(tmp_path)
    loaded: list[str] = []
    import rankscope.studies.accuracy as module

    load_model = module.load_model
    monkeypatch.setattr(module, "load_model", lambda *given: loaded.append("model") or load_model(*given))

    def measured() -> int:
        loaded.clear()
        options = StudyOptions((str(model),), ("stdlib-docs",), tasks=(task,))
        request = Request(
            options.models, options.data, Settings(device="cpu", limit=2), options, tmp_path / "study", Silent()
        )
        assert measure_accuracy(request, request.models, ()).height == 1
        return len(loaded)

    assert [measured(), measured()] == [1, 0]
    (kept,) = (tmp_path / "study" / "accuracy").iterdir()
    assert json.loads(kept.read_text())["identity"]["versions"]["lm_eval"] == harness_version()
    rows = Path(task.partition("=")[2])
    before, content = rows.stat(), rows.read_text()
    rows.write_text(content.replace("e", "a", 1))
    os.utime(rows, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert [measured(), measured()] == [1, 0]
    monkeypatch.setattr(module, "harness_version", lambda: "0.0.1")
    assert [measured(), measured()] == [1, 0]
    tokenizer = json.loads((model / "tokenizer.json").read_text())
    tokenizer["model"]["merges"].reverse()
    (model / "tokenizer.json").write_text(json.dumps(tokenizer))
    assert [measured(), measured()] == [1, 0]
