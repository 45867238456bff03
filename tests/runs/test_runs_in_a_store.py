"""Runs that are kept in an object store: the command line over the real protocol of S3."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

import rankscope as rs
from rankscope.cli.main import main
from rankscope.errors import RunFolderError, StorageError
from rankscope.runs.object_store import ObjectStore
from rankscope.runs.progress import Silent
from s3_server import BUCKET, CREDENTIALS, DENIED, INTERNAL, SLOW_DOWN, Failure, S3Server, s3_server

pytestmark = pytest.mark.slow

CALL = {"models": "pico-0.1m", "data": "stdlib-docs", "limit": 6, "batch_tokens": 150, "device": "cpu"}
ON_THE_COMMAND_LINE = ("pico-0.1m", "--data", "stdlib-docs", "--limit", "6", "--batch-tokens", "150", "--device", "cpu")


@pytest.fixture(scope="module")
def server() -> Iterator[S3Server]:
    with s3_server() as server:
        yield server


@pytest.fixture
def place(server: S3Server, monkeypatch: pytest.MonkeyPatch) -> str:
    """An address in the bucket with nothing behind it; the store is asked again without pauses."""
    for name, value in (CREDENTIALS | {"AWS_ENDPOINT_URL": server.url, "AWS_REGION": "us-east-1"}).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("rankscope.runs.object_store._FIRST_PAUSE", 0.01)
    server.fails = lambda _method, _path: None
    return f"s3://{BUCKET}/{uuid.uuid4().hex}/run"


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> rs.Run:
    return rs.evaluate(**CALL, output=tmp_path_factory.mktemp("local") / "run", twin_cache=False)


class Told(Silent):
    """Remembers what was said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, message: str) -> None:
        self.said.append(message)


def command(*arguments: object) -> int:
    with pytest.raises(SystemExit) as done:
        main(list(map(str, arguments)))
    assert isinstance(done.value.code, int)
    return done.value.code


def same(run: rs.Run, local: rs.Run) -> bool:
    return run.measurements().equals(local.measurements()) and run.summary_document() == local.summary_document()


def test_a_run_in_a_store_is_the_run_in_a_folder(
    place: str, local: rs.Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("evaluate", *ON_THE_COMMAND_LINE, "--no-twin-cache", "--output", place) == 0
    assert f"saved to {place}" in capsys.readouterr().out
    assert same(rs.Run(place), local)
    names = {name for name in ObjectStore.at(place).names("") if not name.startswith("sessions/")}
    assert names == {
        str(file.relative_to(local.path))
        for file in local.path.rglob("*.*")
        if file.is_file() and file.suffix != ".lock" and "sessions" not in file.parts and file.name != ".lock"
    }
    assert command("report", place, "--output", tmp_path / "page.html") == 0
    assert place in (tmp_path / "page.html").read_text()
    rs.evaluate(**CALL | {"models": "pico-0.4m"}, output=f"{place}-other", untrained_seeds=0)
    capsys.readouterr()
    assert command("compare", place, f"{place}-other", "--json") == 0
    assert '"pico-0.4m"' in capsys.readouterr().out
    sessions = len(ObjectStore.at(place).names("sessions"))
    assert same(rs.evaluate(**CALL, output=place, twin_cache=False), local)
    assert len(ObjectStore.at(place).names("sessions")) == sessions + 1


def test_shards_meet_in_a_store(place: str, local: rs.Run, capsys: pytest.CaptureFixture[str]) -> None:
    for number in (1, 0):
        assert command("evaluate", *ON_THE_COMMAND_LINE, "--output", place, "--shard", f"{number}/2") == 0
    told = capsys.readouterr()
    assert told.out == ""
    assert f"rankscope merge {place} --output {place}" in told.err
    assert rs.Run(place).summary_document() == local.summary_document()  # in memory
    assert command("merge", place, "--output", place) == 0
    assert "pico-0.1m" in capsys.readouterr().out
    assert same(rs.Run(place), local)
    assert not [name for name in ObjectStore.at(place).names("measurements") if "parts" in name]


def test_a_study_is_cut_into_shards_and_concluded_in_a_store(
    place: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As in a folder, file by file; and once more with nothing left to measure."""
    asked = ("study", "layers", *ON_THE_COMMAND_LINE[1:], "--models", "pico-0.1m", "pico-0.4m", "--no-twin-cache")
    assert command(*asked, "--output", tmp_path / "study") == 0
    for number in (1, 0):
        assert command(*asked, "--output", place, "--shard", f"{number}/2") == 0
        assert f"to conclude the study in {place}" in capsys.readouterr().out
    store = ObjectStore.at(place)
    assert {name.partition("/")[0] for name in store.names("")} == {"runs"}
    for _ in range(2):
        assert command(*asked, "--output", place) == 0
        told = capsys.readouterr()
        assert f"saved to {place}: table.csv" in told.out
        assert "loading" not in told.err
    names = [name for name in store.names("") if not name.startswith("runs/")]
    assert names == sorted(path.name for path in (tmp_path / "study").iterdir() if path.is_file())
    for name in names:
        if not name.startswith("figure"):
            assert store.read(name) == (tmp_path / "study" / name).read_bytes()


def test_a_page_in_a_store_is_the_page_in_a_file(place: str, local: rs.Run, tmp_path: Path) -> None:
    assert command("report", local.path, "--output", tmp_path / "report.html") == 0
    assert command("report", local.path, "--output", f"{place}/report.html") == 0
    assert ObjectStore.at(place).read("report.html") == (tmp_path / "report.html").read_bytes()
    assert command("report", local.path, "--output", f"s3://{BUCKET}") == 2


def test_workers_share_twins_in_a_store(
    place: str, local: rs.Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RANKSCOPE_CACHE", f"{place}-twins")
    rs.evaluate(**CALL, output=f"{place}-first")
    assert len(ObjectStore.at(f"{place}-twins").names("")) == 1
    told = Told()
    assert same(rs.evaluate(**CALL, output=place, progress=told), local)
    assert [line for line in told.said if "twin 0 is in the cache" in line]
    assert not [line for line in told.said if "loading untrained" in line]
    assert command("cache") == 0
    assert capsys.readouterr().out == f"1 twin in {place}-twins\n"
    assert command("cache", "clear") == 0
    assert ObjectStore.at(f"{place}-twins").names("") == []


def test_a_store_that_refuses_one_write_in_twenty(place: str, local: rs.Run, server: S3Server) -> None:
    writes, refused = count(1), []

    def fails(method: str, path: str) -> Failure | None:
        if method != "PUT" or next(writes) % 20:
            return None
        refused.append(path)
        return SLOW_DOWN if len(refused) % 2 else INTERNAL

    server.fails = fails
    for number in range(3):
        rs.evaluate(**CALL, output=place, twin_cache=False, shard=f"{number}/3")
    assert same(rs.merge([place], place), local)
    assert refused


def test_a_store_that_is_away_for_a_while_loses_nothing(
    place: str, local: rs.Run, server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANKSCOPE_STORE_SECONDS", "0.3")
    wrote = count()
    server.fails = lambda method, _path: SLOW_DOWN if method == "PUT" and next(wrote) >= 5 else None
    with pytest.raises(StorageError, match=r"could not write s3://.*It was retried for 0\.3 seconds; finished work is"):
        rs.evaluate(**CALL, output=place, twin_cache=False)
    kept = [name for name in ObjectStore.at(place).names("measurements") if "parts" in name]
    assert kept
    server.fails = lambda _method, _path: None
    server.requests.clear()
    assert same(rs.evaluate(**CALL, output=place, twin_cache=False), local)
    assert not [path for method, path in server.requests if method == "PUT" and path.endswith(kept[0])]


def test_another_users_run_is_not_touched(place: str, local: rs.Run) -> None:
    rs.evaluate(**CALL, output=place, twin_cache=False)
    with pytest.raises(RunFolderError, match=f"{place} belongs to another run: limit is 6 there and 5 in this call"):
        rs.evaluate(**CALL | {"limit": 5}, output=place, twin_cache=False)
    assert same(rs.Run(place), local)


def test_two_runs_that_begin_at_once_at_one_address(place: str) -> None:
    """Only one makes the manifest; the other one is told whose it is."""
    code = (
        "import sys, rankscope as rs\n"
        f"call = {CALL!r} | {{'limit': int(sys.argv[1]), 'untrained_seeds': 0}}\n"
        "print('ready', flush=True); sys.stdin.readline()\n"
        f"rs.evaluate(**call, output={place!r})"
    )
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    both = [subprocess.Popen([sys.executable, "-c", code, str(limit)], **pipes) for limit in (2, 3)]
    for process in both:
        assert process.stdout.readline() == "ready\n"
    errors = [process.communicate("go\n", timeout=240)[1] for process in both]
    assert sorted(process.returncode for process in both) == [0, 1]
    (lost,) = (error for error, process in zip(errors, both, strict=True) if process.returncode)
    assert "belongs to another run: limit is" in lost
    (won,) = (limit for limit, process in zip((2, 3), both, strict=True) if not process.returncode)
    assert rs.Run(place).summary_rows()[0]["texts"] == won


@pytest.mark.parametrize(
    ("what", "status", "message"),
    [
        ("port", 1, "could not look for s3://"),
        ("rights", 2, "Check the address and the rights to it"),
        ("bucket", 2, "bucket does not exist. Check the address"),
        ("secret", 2, "contains a user name or a key: remove it"),
        ("package", 2, "s3fs is not installed: pip install 'rankscope[s3]'"),
    ],
)
def test_what_is_wrong_is_one_line(
    place: str,
    server: S3Server,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    what: str,
    status: int,
    message: str,
) -> None:
    monkeypatch.setenv("RANKSCOPE_STORE_SECONDS", "0.3")
    if what == "port":
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free.getsockname()[1]}")
    elif what == "rights":
        server.fails = lambda _method, _path: DENIED
    elif what == "bucket":
        place = "s3://no-such-bucket/run"
    elif what == "secret":
        place = place.replace("s3://", "s3://KEY:SECRET@")
    else:
        monkeypatch.setitem(sys.modules, "s3fs", None)
        monkeypatch.delitem(sys.modules["fsspec.registry"]._registry, "s3", raising=False)
    assert command("evaluate", *ON_THE_COMMAND_LINE, "--output", place) == status
    (line,) = [one for one in capsys.readouterr().err.splitlines() if one.startswith("rankscope: ")]
    assert message in line
    assert "SECRET" not in line
    assert CREDENTIALS["AWS_SECRET_ACCESS_KEY"] not in line
    assert os.sep not in line.partition("s3://")[0]


def test_no_credentials_in_what_is_kept(place: str) -> None:
    rs.evaluate(**CALL, output=place, untrained_seeds=0)
    store = ObjectStore.at(place)
    documents = [name for name in store.names("") if name.endswith(".json")]
    assert documents
    for content in store.read_each(documents):
        assert content is not None
        assert not [value for value in CREDENTIALS.values() if value.encode() in content]
