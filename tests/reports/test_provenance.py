from __future__ import annotations

import shlex
from pathlib import Path

import pytest

import rankscope as rs
from rankscope.cli import main
from rankscope.reports.provenance import command, provenance

pytestmark = pytest.mark.slow


def test_the_command_makes_the_same_run(tmp_path: Path) -> None:
    texts = tmp_path / "two words.jsonl"
    texts.write_text('{"a": "One sentence that is here.", "b": "x"}\n{"a": "And another one, for two.", "b": "y"}\n')
    settings = {
        "template": "{a} {b}",
        "layers": "0,last",
        "untrained_seeds": 0,
        "drop_tokens": "first",
    }
    other = tmp_path / "other.jsonl"
    other.write_text('{"a": "A third sentence is here.", "b": "z"}\n')
    run = rs.evaluate(["pico-0.1m", "pico@step-0"], [str(texts), str(other)], output=tmp_path / "one", **settings)
    words = shlex.split(provenance(run).command)
    assert words[:2] == ["rankscope", "evaluate"]
    with pytest.raises(SystemExit) as exit_:
        main([*words[1:], "--output", str(tmp_path / "two")])
    assert not exit_.value.code
    again = rs.Run(tmp_path / "two")
    assert again.manifest()["identity"] == run.manifest()["identity"]
    assert again.summary_rows() == run.summary_rows()


def test_all_that_numbers_depend_on_is_there(runs: dict[str, rs.Run]) -> None:
    found = provenance(runs["training"])
    manifest = runs["training"].manifest()
    assert [row["fingerprint"] for row in found.models.rows] == [
        model["fingerprint"] for model in manifest["identity"]["models"]
    ]
    assert found.data.rows[0]["fingerprint"] == manifest["identity"]["data"][0]["fingerprint"]
    assert found.settings == {"limit": 12, "dtype": "float32", "device": "cpu", "batch_tokens": 1024}
    assert f"torch {manifest['sessions'][0]['versions']['torch']}" in str(found.sessions.rows[0]["versions"])
    assert "docstrings" in str(found.sessions.rows[0]["sources"])


def test_the_command_of_an_alignment_has_only_what_was_asked_for(tmp_path: Path) -> None:
    run = rs.align("pico-vlm", "drawn-scenes", limit=3, integration_items=0, output=tmp_path / "run", device="cpu")
    assert provenance(run).command == (
        "rankscope align pico-vlm --data drawn-scenes --limit 3 --integration-items 0 --dtype float32 --device cpu"
    )


def test_flags_and_quotes() -> None:
    identity = {
        "settings": {"trust_remote_code": True, "limit": None, "protocol": "paper"},
        "models": [{"reference": "a; rm -rf b"}],
        "data": [{"name": "d"}],
    }
    assert command({"identity": identity}) == (
        "rankscope evaluate 'a; rm -rf b' --data d --trust-remote-code --protocol paper"
    )
    assert command({"identity": identity | {"kind": "alignment"}}).startswith("rankscope align")
