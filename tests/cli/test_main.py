"""The contract of the command line: output, one-line errors, exit statuses."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from rankscope.cli import main
from tiny import SENTENCES, tiny_config

pytestmark = pytest.mark.slow


@pytest.fixture
def data(tmp_path: Path) -> str:
    path = tmp_path / "texts.jsonl"
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in SENTENCES))
    return str(path)


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as exit_:
        main([str(argument) for argument in arguments])
    return int(exit_.value.code or 0)


def test_the_table(tiny_folder: Path, data: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status = run(
        "evaluate", tiny_folder, "--data", data, "--field", "text", "--output", tmp_path / "run", "--limit", "4"
    )
    captured = capsys.readouterr()
    assert status == 0
    heading, row, *_ = captured.out.splitlines()
    assert heading.split("  ")[0] == "model"
    assert "eRank untrained → trained" in heading
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())["rows"][0]
    assert row.split()[:3] == ["tiny-llama", "texts.jsonl", "4"]
    both = f"{summary['effective_rank_untrained']:.2f} → {summary['effective_rank']:.2f}"
    assert both in row
    assert f"{summary['diff_erank']:.2f}" in row.split(both)[1]
    assert row.endswith(f"{summary['loss']:.3f}")
    assert f"saved to {tmp_path / 'run'}" in captured.out
    assert "100 %" in captured.err
    assert "\r" not in captured.err


def test_layers_and_skips_show_in_the_table(
    tiny_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "lines.txt"
    path.write_text("x\n" + "\n".join(SENTENCES[:2]))
    arguments = ("--layers", "all", "--untrained-seeds", "0", "--output", tmp_path / "run")
    assert run("evaluate", tiny_folder, "--data", path, *arguments) == 0
    out = capsys.readouterr().out
    assert "layer" in out.splitlines()[0]
    assert "Diff-eRank" not in out
    assert "1 of 3 texts skipped" in out


def test_json_is_all_of_standard_output(tiny_folder: Path, data: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "rankscope", "evaluate", str(tiny_folder), "--data", data, "--field", "text"]
    command += ["--json", "--output", str(tmp_path / "run")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["rows"][0]["texts"] == len(SENTENCES)
    assert "Loading weights" not in done.stderr


def test_a_settings_file_and_flags_that_win(tiny_folder: Path, data: str, tmp_path: Path) -> None:
    config = tmp_path / "settings.toml"
    config.write_text(f'data = ["{data}"]\nfield = "text"\nlimit = 3\nlayers = "0,last"\nuntrained-seeds = 0\n')
    output = tmp_path / "run"
    assert run("evaluate", tiny_folder, "--config", config, "--limit", "2", "--output", output) == 0
    settings = json.loads((output / "manifest.json").read_text())["identity"]["settings"]
    assert (settings["limit"], settings["layers"], settings["untrained_seeds"]) == (2, "0,last", 0)


def test_list_and_doctor(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("list", "metrics") == 0
    assert "effective_rank" in capsys.readouterr().out
    assert run("list", "datasets") == 0
    assert "dolly-15k" in capsys.readouterr().out
    assert run("doctor") == 0
    out = capsys.readouterr().out
    for name in ("rankscope", "torch", "transformers", "device auto"):
        assert name in out


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (("evaluate", "{tmp}/absent", "--data", "{data}", "--field", "text"), 2, "model folder or file not found"),
        (("evaluate", "{tiny}", "--data", "absent.jsonl", "--field", "text"), 2, "data file not found: absent.jsonl"),
        (("evaluate", "{tiny}", "--data", "{broken}", "--field", "text"), 2, "broken.jsonl:2: not JSON"),
        (("evaluate", "{tiny}", "--data", "{data}", "--field", "txt"), 2, "no field 'txt': did you mean text"),
        (("evaluate", "{tiny}", "--data", "{empty}", "--field", "text"), 2, "an empty data set"),
        (("evaluate", "{bare}", "--data", "{data}", "--field", "text"), 2, "has no tokenizer"),
        (
            ("evaluate", "{tiny}", "--data", "{data}", "--field", "text", "--metrics", "efective_rank"),
            2,
            "did you mean",
        ),
        (("evaluate", "{tiny}", "--data", "{data}", "--field", "text", "--layers", "frist"), 2, "did you mean first"),
        (("evaluate", "{tiny}", "--data", "{data}", "--field", "text", "--output", "{data}/x"), 2, "cannot write to"),
        (
            ("evaluate", "{tiny}", "--data", "{data}", "--field", "text", "--device", "abacus"),
            2,
            "device 'abacus' is not available",
        ),
        (("evaluate", "{tiny}"), 2, "data"),
        (("evaluate", "{tiny}", "--data", "{data}", "--limt", "3"), 2, "--limit"),
        (("evaluate", "{tiny}", "--data", "{data}", "--limit", "many"), 2, "many"),
        (("evaluate", "{tiny}", "--data", "{data}", "--config", "{tmp}/absent.toml"), 2, "settings file not found"),
        (("evaluate", "{tiny}", "--data", "{data}", "--config", "{toml}"), 2, "limt"),
        (("evaluate", "{tiny}", "--data", "{data}", "--config", "{data}"), 2, "texts.jsonl is not valid TOML"),
        (
            ("evaluate", "{tiny}", "--data", "{data}", "--data", "{copy}", "--field", "text"),
            2,
            "duplicate data set in",
        ),
        (("evaluate", "{tiny}", "--data", "{data}", "--field", "text", "--layers=--1"), 2, "unknown layer"),
        (("evalute",), 2, "evaluate"),
        (("list", "metrcs"), 2, "metrics"),
    ],
)
def test_a_wrong_call_is_one_line_and_status_2(
    tiny_folder: Path,
    data: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    status: int,
    message: str,
) -> None:
    (tmp_path / "broken.jsonl").write_text('{"text": "fine"}\n{"text": \n')
    (tmp_path / "empty.jsonl").write_text("")
    (tmp_path / "settings.toml").write_text("limt = 3\n")
    copy = tmp_path / "copy" / Path(data).name
    copy.parent.mkdir()
    copy.write_bytes(Path(data).read_bytes())
    bare = tmp_path / "bare"
    tiny_config("llama").save_pretrained(bare)
    places = {
        "tmp": tmp_path, "tiny": tiny_folder, "data": data, "bare": bare, "broken": tmp_path / "broken.jsonl",
        "empty": tmp_path / "empty.jsonl", "toml": tmp_path / "settings.toml", "copy": copy,
    }  # fmt: skip
    assert run(*(argument.format(**places) for argument in arguments)) == status
    captured = capsys.readouterr()
    *_, last = captured.err.splitlines()
    assert last.startswith("rankscope: ")
    assert message in last
    assert captured.out == ""
    assert "Traceback" not in captured.err
    assert not (tmp_path / "runs").exists()


def test_a_folder_of_another_run(
    tiny_folder: Path, data: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call = (
        "evaluate",
        tiny_folder,
        "--data",
        data,
        "--field",
        "text",
        "--untrained-seeds",
        "0",
        "--output",
        tmp_path / "r",
    )
    assert run(*call, "--limit", "2") == 0
    assert run(*call, "--limit", "3") == 2
    assert "limit is 2 there and 3 in this call" in capsys.readouterr().err


def test_a_failed_evaluation_is_status_1(
    tiny_folder: Path, data: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    call = ("evaluate", tiny_folder, "--data", data, "--field", "text", "--output", tmp_path / "run")
    assert run(*call) == 1
    assert "No space left on device" in capsys.readouterr().err.splitlines()[-1]


def test_what_nobody_expected(
    tiny_folder: Path, data: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def surprise(*_: object, **__: object) -> None:
        raise ZeroDivisionError("two\nlines")

    monkeypatch.setattr("rankscope.runs.evaluation.prepare_each", surprise)
    call = ("evaluate", tiny_folder, "--data", data, "--field", "text", "--output", tmp_path / "run")
    assert run(*call) == 1
    assert capsys.readouterr().err.splitlines()[-1].startswith("rankscope: unexpected ZeroDivisionError: two lines")
    with pytest.raises(ZeroDivisionError):
        main([str(argument) for argument in (*call, "--debug")])

    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("rankscope.runs.evaluation.prepare_each", stop)
    assert run(*call) == 130
    assert "finished work is saved" in capsys.readouterr().err


def test_help_has_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    examples = {
        (): "Example: rankscope evaluate facebook/opt-125m --data dolly-15k",
        ("evaluate",): "rankscope evaluate facebook/opt-125m --data dolly-15k",
        ("list",): "rankscope list datasets",
        ("doctor",): "rankscope doctor",
    }
    for command, example in examples.items():
        assert run(*command, "--help") == 0
        out = capsys.readouterr().out
        assert example in out.partition("Usage:")[2].partition("\n")[2]


def test_the_cache_of_twins(
    tiny_folder: Path, data: str, tmp_path: Path, own_twin_cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call = ("evaluate", tiny_folder, "--data", data, "--field", "text", "--output", tmp_path / "run")
    assert run(*call) == 0
    capsys.readouterr()
    assert run("cache") == 0
    assert "1 twins" in capsys.readouterr().out
    assert run("cache", "clear") == 0
    assert "removed 1 files" in capsys.readouterr().out
    assert list(own_twin_cache.glob("*.parquet")) == []


def test_notes_follow_the_table(
    tiny_folder: Path, data: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("evaluate", tiny_folder, "--data", data, "--field", "text", "--output", tmp_path / "run") == 0
    assert "note few-texts: fewer than 30 texts" in capsys.readouterr().out


def test_a_study_prints_its_table_and_keeps_its_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["study", "scaling", "--models", "pico-0.1m", "pico-0.4m", "--data", "stdlib-docs", "--limit", "4"]
    assert run(*command, "--output", str(tmp_path / "study")) == 0
    out = capsys.readouterr().out
    assert "published.csv" in out
    assert "its untrained term changes by" in out
    assert run(*command, "--output", str(tmp_path / "study"), "--json") == 0
    content = json.loads(capsys.readouterr().out)
    assert [row["model"] for row in content["rows"]] == ["pico-0.1m", "pico-0.4m"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("scalin",), "did you mean scaling"),
        (("lengths", "--window", "16"), "sets window itself"),
        (("scaling", "--judge", "pico"), "does not use judge"),
        (("scaling", "--models", "family:opd"), "did you mean opt"),
        (("responses", "--responses", "nowhere.jsonl", "--judge", "pico"), "data file not found: nowhere.jsonl"),
        (
            ("families", "--models", "pico", "--data", "stdlib-docs", "--limit", "2", "--tasks", "piqa=no.jsonl"),
            "no.jsonl",
        ),
    ],
)
def test_a_wrong_study_is_one_line(
    arguments: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert run("study", *arguments, "--output", str(tmp_path / "study")) == 2
    err = capsys.readouterr().err
    assert message in err
    assert "Traceback" not in err


@pytest.mark.usefixtures("trackio_store")
def test_a_summary_is_logged_to_a_tracker(
    tiny_folder: Path, data: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call = ("evaluate", tiny_folder, "--data", data, "--field", "text", "--output", tmp_path / "run", "--json")
    assert run(*call, "--untrained-seeds", "0", "--log-to", "trackio", "--log-project", "mine") == 0
    captured = capsys.readouterr()
    (row,) = json.loads(captured.out)["rows"]
    assert "logged to trackio, project mine" in captured.err
    from trackio.sqlite_storage import SQLiteStorage

    (log,) = SQLiteStorage.get_logs("mine", "tiny-llama")
    assert log["texts.jsonl/last/effective_rank"] == row["effective_rank"]


def test_a_missing_tracker_is_one_line_before_anything_is_measured(
    tiny_folder: Path, data: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("rankscope.integrations.trackers.find_spec", lambda _name: None)
    call = ("evaluate", tiny_folder, "--data", data, "--field", "text", "--output", tmp_path / "run")
    assert run(*call, "--log-to", "wandb") == 2
    assert capsys.readouterr().err == "rankscope: wandb is not installed: pip install 'rankscope[wandb]'\n"
    assert not (tmp_path / "run").exists()
    assert run(*call, "--log-to", "nowhere") == 2
    monkeypatch.undo()
    assert run(*call, "--log-to", "trackio", "--shard", "0/2") == 2
    assert "merge the shards" in capsys.readouterr().err


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "powershell"])
def test_completion_of_a_shell_knows_commands_and_options(
    shell: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    script = tmp_path / "completion"
    assert run("--install-completion", "--shell", shell, "--output", script) == 0
    assert str(script) in capsys.readouterr().out
    assert {"evaluate", "--log-to", "doctor"} <= set(re.findall(r"[\w-]+", script.read_text(encoding="utf-8")))


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash here")
def test_bash_completes_an_option(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    script = tmp_path / "completion"
    assert run("--install-completion", "--shell", "bash", "--output", script) == 0
    ask = 'source "$0"; COMP_WORDS=(rankscope evaluate --log-t); COMP_CWORD=2; _rankscope; echo "${COMPREPLY[@]}"'
    done = subprocess.run(["bash", "-c", ask, str(script)], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["--log-to"]
