from __future__ import annotations

import json
from pathlib import Path

import pytest

from rankscope.cli import main
from tiny_vision import photograph, save_tiny_vision


def call(*arguments: str) -> int:
    with pytest.raises(SystemExit) as exit_:
        main(["align", *arguments])
    return exit_.value.code or 0


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("align")
    save_tiny_vision(folder / "model")
    for number in range(2):
        photograph(number).save(folder / f"{number}.png")
    rows = [{"file": f"{number}.png", "words": ["A picture of something."]} for number in range(2)]
    (folder / "pairs.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return folder


def test_json_alone_on_standard_output(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fields = ["--image-field", "file", "--response-field", "words.0", "--prompt", "Look."]
    output = ["--output", str(tmp_path / "r"), "--device", "cpu", "--control", "mirrored"]
    assert call(str(folder / "model"), "--data", str(folder / "pairs.jsonl"), *fields, *output, "--json") == 0
    captured = capsys.readouterr()
    rows = json.loads(captured.out)["rows"]
    assert [(row["control"], row["texts"]) for row in rows] == [("base", 2), ("mirrored", 2)]
    assert "2 pairs" in captured.err
    assert call(str(folder / "model"), "--data", str(folder / "pairs.jsonl"), *fields, *output) == 0
    out = capsys.readouterr().out
    assert f"{rows[0]['erank5']:.2f}" in out
    assert "change of reduction" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "none.jsonl"], "data file not found"),
        (["--data", "drawn-scenes", "--control", "upside-down"], "unknown control 'upside-down'"),
        (["--data", "drawn-scenes", "--limit", "0"], "limit must be an integer of at least 1"),
    ],
)
def test_a_wrong_call_is_one_line_and_status_2(
    arguments: list[str], message: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(str(folder / "model"), *arguments) == 2
    captured = capsys.readouterr().err.splitlines()
    assert message in captured[-1]
    assert not any("Traceback" in line for line in captured)
