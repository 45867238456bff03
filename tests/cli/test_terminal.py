from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import huggingface_hub
import pytest

from processes import run_command
from rankscope.cli import main
from rankscope.cli.terminal import print_json, quieten_libraries, streams_for_any_text
from tiny import SENTENCES

pytestmark = pytest.mark.slow

ENCODINGS = ("cp1252", "ascii", "latin-1")


class Stream(io.TextIOWrapper):
    """A pipe of another encoding."""

    def __init__(self, encoding: str) -> None:
        super().__init__(io.BytesIO(), encoding=encoding)

    def text(self) -> str:
        self.flush()
        return self.buffer.getvalue().decode(self.encoding)  # type: ignore[attr-defined]


def pipes(monkeypatch: pytest.MonkeyPatch, encoding: str) -> tuple[Stream, Stream]:
    out, err = Stream(encoding), Stream(encoding)
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    return out, err


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_letters_that_an_encoding_lacks(monkeypatch: pytest.MonkeyPatch, encoding: str) -> None:
    out, _ = pipes(monkeypatch, encoding)
    with streams_for_any_text():
        print("untrained → trained … ≤ ━ │ \udcff 中 ő")
    assert out.text() == "untrained -> trained ... <= - | ? \\u4e2d o\n".replace(
        "...", "…" if encoding == "cp1252" else "..."
    )
    with pytest.raises(UnicodeEncodeError):
        print("中", flush=True)  # the stream has its own handler back


@pytest.mark.parametrize("encoding", [*ENCODINGS, "utf-8"])
def test_json_is_valid_in_every_encoding(monkeypatch: pytest.MonkeyPatch, encoding: str) -> None:
    out, _ = pipes(monkeypatch, encoding)
    content = {"é → 中": "\U0001f600"}
    with streams_for_any_text():
        print_json(content, sys.stdout)
    assert json.loads(out.text()) == content
    assert out.text().isascii() == (encoding != "utf-8")


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize(
    "arguments",
    [("list", "models"), ("list", "studies"), ("list", "datasets"), ("doctor",), ("cache",), ("--help",),
     ("evaluate", "--help"), ("study", "scaling", "--help"), ("evaluate", "中→", "--data", "中→.txt"), ("中",)],
)  # fmt: skip
def test_every_command_prints(monkeypatch: pytest.MonkeyPatch, encoding: str, arguments: tuple[str, ...]) -> None:
    out, err = pipes(monkeypatch, encoding)
    with pytest.raises(SystemExit) as exit_:
        main(arguments)
    assert exit_.value.code == (2 if "中" in "".join(arguments) else 0)
    assert out.text() + err.text()
    assert "Unicode" not in err.text()


IN_TURN = """
import json, os, sys
from rankscope.cli import main
folder, calls = os.fsencode(sys.argv[1]), json.loads(sys.argv[2])
for number, call in enumerate(calls):
    os.dup2(os.open(folder + b"/%d" % number, os.O_WRONLY | os.O_CREAT), 1)
    try:
        main([os.fsdecode(bytes.fromhex(argument)) for argument in call])
    except SystemExit as exit_:
        print(exit_.code, file=sys.stderr)
    sys.stdout.flush()
"""


def commands(folder: Path, calls: list[tuple[object, ...]], **environment: str) -> tuple[list[bytes], list[int]]:
    """What commands print, and the statuses they end with; all in one Python, whose start takes seconds."""
    encoded = json.dumps([[os.fsencode(str(argument)).hex() for argument in call] for call in calls])
    done = subprocess.run(
        [sys.executable, "-c", IN_TURN, str(folder), encoded],
        stderr=subprocess.PIPE, env=os.environ | environment, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    statuses = [int(line) for line in done.stderr.splitlines() if line.isdigit()]
    return [(folder / str(number)).read_bytes() for number in range(len(calls))], statuses


@pytest.mark.parametrize(
    "environment",
    [{"PYTHONIOENCODING": "cp1252"}, {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}],
    ids=["cp1252", "C"],
)
def test_a_whole_evaluation_in_another_encoding(tmp_path: Path, environment: dict[str, str]) -> None:
    data, run, page = tmp_path / "dätä→.txt", tmp_path / "rün", tmp_path / "ä.html"
    data.write_text("\n".join(SENTENCES), encoding="utf-8")
    call = ("evaluate", "pico-0.1m", "--data", data, "--output", run)
    calls = [call, (*call, "--json"), ("compare", run, run), ("report", run, "--output", page)]
    (table, summary, *_), statuses = commands(tmp_path, calls, **environment)
    assert statuses == [0, 0, 2, 0]
    assert b"untrained -> trained" in table
    (row,) = json.loads(summary.decode("ascii"))["rows"]
    assert row["dataset"] == "dätä→.txt"  # the same name in every locale
    assert json.loads((run / "summary.json").read_text("utf-8"))["rows"] == [row]
    assert "dätä→.txt" in page.read_text("utf-8")


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_names_that_are_not_utf8(tmp_path: Path) -> None:
    root = Path(os.fsdecode(os.fsencode(tmp_path) + b"/f\xff"))
    root.mkdir()
    data = root / os.fsdecode(b"d\xfe\x1b[31m\n.txt")
    data.write_text("\n".join(SENTENCES))
    run = root / os.fsdecode(b"r\xff[1]")
    done = run_command(tmp_path, "evaluate", "pico-0.1m", "--data", data, "--output", run)
    assert done.status == 0, done.stderr
    assert b"\x1b" not in done.stdout
    for file in ("manifest.json", "summary.json"):
        json.loads((run / file).read_text("utf-8"))
    page = root / "page.html"
    tables, figures = root / "tables", root / "figures"
    done = run_command(tmp_path, "report", run, "--output", page, "--tables", tables, "--figures", figures)
    assert done.status == 0, done.stderr
    assert "\N{REPLACEMENT CHARACTER}" in page.read_text("utf-8")
    model = run_command(tmp_path, "evaluate", root / "absent", "--data", data)
    assert (model.status, model.stderr.count(b"unexpected")) == (2, 0)


def test_a_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    for arguments in (["list", "datasets"], ["--help"]):
        with subprocess.Popen(
            [sys.executable, "-m", "rankscope", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process:
            process.stdout.close()  # type: ignore[union-attr]
            assert process.stderr.read() == b""  # type: ignore[union-attr]
            assert process.wait() == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no full device here")
def test_a_full_disk_under_standard_output_is_one_line() -> None:
    for arguments in ("list metrics", "doctor"):
        with Path("/dev/full").open("wb") as full:
            done = subprocess.run(
                [sys.executable, "-m", "rankscope", *arguments.split()],
                stdout=full,
                stderr=subprocess.PIPE,
                check=False,
            )
        (line,) = done.stderr.decode().splitlines()
        assert done.returncode == 1
        assert "cannot read or write standard output" in line
        assert "No space left on device" in line


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (MemoryError(), 1, "out of memory"),
        (RecursionError("too deep"), 1, "nested too deeply"),
        (
            PermissionError(13, "Permission denied", "some/place"),
            1,
            "cannot read or write some/place: Permission denied",
        ),
        (IsADirectoryError(21, "Is a directory", "place"), 1, "place: Is a directory"),
        (OSError(36, "File name too long", "x" * 300), 2, "File name too long"),
        (KeyboardInterrupt(), 130, "finished work is saved"),
    ],
)
def test_the_limits_of_the_machine_are_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: BaseException, status: int, message: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("rankscope.runs.comparison.differing", fail)
    monkeypatch.setattr("rankscope.runs.Run.kind", "evaluation")
    with pytest.raises(SystemExit) as exit_:
        main(["compare", "a", "b"])
    (line,) = capsys.readouterr().err.splitlines()
    assert exit_.value.code == status
    assert message in line
    assert "unexpected" not in line


def test_a_place_of_the_wrong_kind_is_found_before_anything_is_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    for arguments in (("--output", tmp_path), ("--tables", tmp_path / "file"), ("--figures", tmp_path / "file")):
        with pytest.raises(SystemExit) as exit_:
            main(["report", "absent", *map(str, arguments)])
        assert exit_.value.code == 2
        assert f"{arguments[0].lstrip('-')} must be a f" in capsys.readouterr().err


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_nothing_measured_is_status_1_and_says_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], form: list[str]
) -> None:
    (tmp_path / "short.txt").write_text("a\nb\n")
    with pytest.raises(SystemExit) as exit_:
        main(["evaluate", "pico-0.1m", "--data", str(tmp_path / "short.txt"), "--output", str(tmp_path / "r"), *form])
    assert exit_.value.code == 1
    line = capsys.readouterr().err.splitlines()[-1]
    assert line == "rankscope: every text was skipped, so there are no results: fewer than 2 tokens (2)"


def test_a_stop_at_any_time_is_130(tmp_path: Path) -> None:
    call = ["evaluate", "pico", "--data", "stdlib-docs", "--output", str(tmp_path / "run")]
    with subprocess.Popen(
        [sys.executable, "-m", "rankscope", *call], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        process.stderr.readline()  # type: ignore[union-attr]
        process.send_signal(signal.SIGINT)
        errors = process.stderr.read()  # type: ignore[union-attr]
        assert process.wait() == 130
    assert "Traceback" not in errors
    assert errors.splitlines()[-1].startswith("rankscope: interrupted")


@pytest.mark.parametrize("terminal", [True, False])
def test_downloads_have_bars_on_a_terminal_alone(monkeypatch: pytest.MonkeyPatch, terminal: bool) -> None:
    monkeypatch.setenv("TQDM_DISABLE", "1")  # set there where no terminal is; here it is taken back
    monkeypatch.setattr(sys.modules["huggingface_hub.utils.tqdm"], "progress_bar_states", {})
    monkeypatch.setattr("transformers.utils.logging._tqdm_active", True)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    quieten_libraries()
    assert huggingface_hub.utils.are_progress_bars_disabled("huggingface_hub.http_get") is not terminal
