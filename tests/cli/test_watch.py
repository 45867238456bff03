"""`rankscope watch` during a real training, killed and restarted, and what it prints."""

from __future__ import annotations

import csv
import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from transformers import Trainer, TrainerCallback, TrainingArguments

import rankscope as rs
from processes import kill, rankscope, started, wait_for, wait_until
from rankscope.cli import main
from rankscope.settings import Settings
from tiny import SENTENCES, save_tiny, tiny_model, tiny_tokenizer

pytestmark = pytest.mark.slow

SETTINGS = (
    "--device",
    "cpu",
    "--batch-tokens",
    "64",
    "--every",
    "1",
)  # longer than the files of a checkpoint are written


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "texts.txt"
    path.write_text("\n".join(f"{number}: {text}" for number in range(5) for text in SENTENCES))
    return path


class Slowly(TrainerCallback):
    def on_step_end(self, *_: object, **__: object) -> None:
        time.sleep(0.25)


def train(folder: Path) -> None:
    """Saves a checkpoint every 5 steps, 4 in all."""
    tokenizer = tiny_tokenizer()
    rows = [{"input_ids": ids, "labels": ids} for ids in (tokenizer(text)["input_ids"][:16] for text in SENTENCES * 8)]
    rows = [row for row in rows if len(row["input_ids"]) == 16]
    arguments = TrainingArguments(
        str(folder), max_steps=20, save_steps=5, per_device_train_batch_size=4, learning_rate=3e-3, report_to=[],
        disable_tqdm=True, use_cpu=True, save_total_limit=None,
    )  # fmt: skip
    model = tiny_model("llama")
    Trainer(model, arguments, train_dataset=rows, processing_class=tokenizer, callbacks=[Slowly()]).train()


def call(folder: Path, data: Path, output: Path) -> tuple[object, ...]:
    return ("watch", folder, "--data", data, "--output", output, *SETTINGS)


def rows_in(output: Path) -> list[dict[str, str]]:
    with (output / "table.csv").open() as file:
        return list(csv.DictReader(file))


def test_beside_a_training_and_killed_twice_each_checkpoint_has_one_row_that_equals_evaluates(
    data: Path, tmp_path: Path
) -> None:
    out, output, log = tmp_path / "out", tmp_path / "kept", tmp_path / "log"
    watch = (rankscope, *call(out, data, output), "--until-step", "20")

    def is_measuring(name: str) -> Callable[[], bool]:
        place = output / "checkpoints" / name
        return lambda: any(place.glob("measurements/parts/*/*.parquet")) and not (place / "summary.json").exists()

    with started(train, out, log=tmp_path / "training") as training:
        for name in ("checkpoint-5", "checkpoint-10"):
            with started(*watch, log=log) as process:
                wait_until(is_measuring(name), process, log)
                kill(process)
            assert not (output / "checkpoints" / name / "summary.json").exists()
        with started(*watch, log=log) as process:
            assert wait_for(process) == 0, log.read_text()[-3000:]
        assert wait_for(training) == 0, (tmp_path / "training").read_text()
    rows = rows_in(output)
    assert [row["checkpoint"] for row in rows] == [f"checkpoint-{step}" for step in (5, 10, 15, 20)]
    assert len({row["loss"] for row in rows}) == 4
    for row in rows:
        reference = str(out / row["checkpoint"])
        settings = Settings(device="cpu", batch_tokens=64)
        alone = rs.evaluate(reference, str(data), output=tmp_path / row["checkpoint"], settings=settings)
        (expected,) = alone.summary_rows()
        found = {key: row[key] for key in expected}
        assert found == {key: "" if value is None else str(value) for key, value in expected.items()}
    assert "cannot be" not in log.read_text()
    assert "is not complete" not in log.read_text()
    page = (output / "report.html").read_text()
    assert "out through training on texts.txt" in page
    assert all(row["checkpoint"] in page for row in rows)


def test_ctrl_c_keeps_everything(data: Path, tmp_path: Path) -> None:
    out, output, log = tmp_path / "out", tmp_path / "kept", tmp_path / "log"
    save_tiny(out / "checkpoint-5")
    with started(rankscope, *call(out, data, output), log=log) as process:
        wait_until(lambda: "checkpoint-5 has been measured" in log.read_text(), process, log)
        wait_until((output / "report.html").exists, process, log)
        os.kill(process.pid, signal.SIGINT)
        assert wait_for(process) == 130
    assert "run the same command again to resume" in log.read_text().splitlines()[-1]
    assert [row["checkpoint"] for row in rows_in(output)] == ["checkpoint-5"]


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as exit_:
        main([str(argument) for argument in arguments])
    return int(exit_.value.code or 0)


def test_the_table_grows_under_one_heading_and_again_as_lines_of_json(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for step in (10, 20):
        save_tiny(tmp_path / "out" / f"checkpoint-{step}", seed=step)
    call = ("watch", tmp_path / "out", "--data", data, "--output", tmp_path / "kept", *SETTINGS, "--limit", "4")
    assert run(*call, "--until-step", "20") == 0
    captured = capsys.readouterr()
    heading, one, other = captured.out.splitlines()
    assert heading.split()[:4] == ["checkpoint", "step", "texts", "loss"]
    assert one.split()[:3] == ["checkpoint-10", "10", "4"]
    assert other.split()[:3] == ["checkpoint-20", "20", "4"]
    assert captured.err.count("note few-texts: ") == 1
    assert f"2 checkpoints measured; saved to {tmp_path / 'kept'}" in captured.err
    assert run(*call, "--until-step", "20", "--json") == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["step"] for line in lines] == [10, 20]
    summary = tmp_path / "kept" / "checkpoints" / "checkpoint-20" / "summary.json"
    assert lines[1]["rows"] == json.loads(summary.read_text())["rows"]


def test_it_waits_for_a_training_that_has_not_begun(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("watch", "nowhere", "--data", data, *SETTINGS, "--idle-minutes", "0.01") == 0
    err = capsys.readouterr().err
    assert "watching nowhere, which does not exist yet" in err
    assert "0 checkpoints measured" in err
    (made,) = (tmp_path / "runs").iterdir()
    assert made.name.startswith("watch-nowhere-")


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--data", "nowhere.txt"), "nowhere.txt"),
        (("--data", "{data}", "--every", "0"), "every must be a number above 0"),
        (("--data", "{data}", "--until-step", "1.5"), "--until-step must be an integer, got 1.5"),
        (("--data", "{data}", "--layers", "lasst", "--every", "0.1"), "lasst"),
        ((), "data"),
    ],
)
def test_one_line_where_the_call_is_wrong(
    more: tuple[str, ...], said: str, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_tiny(tmp_path / "out" / "checkpoint-5")
    arguments = [one.format(data=data) for one in more]
    assert run("watch", tmp_path / "out", *arguments, "--output", tmp_path / "kept") == 2
    assert said in capsys.readouterr().err.splitlines()[-1]


def test_help_has_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("watch", "--help") == 0
    out = capsys.readouterr().out
    assert "rankscope watch out/ --data dolly-15k" in out
    assert all(flag in out for flag in ("--every", "--until-step", "--idle-minutes", "--limit"))
