"""Runs on a Ray cluster of this machine."""

from __future__ import annotations

import os
import shutil
import socket
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

import rankscope as rs
from rankscope.cli.main import main
from rankscope.errors import RankscopeError, SettingsError
from rankscope.integrations.ray import Call, Needs, RayCluster
from rankscope.integrations.ray_connection import connected_cluster
from rankscope.models.pico import FAMILY, TOKENIZER
from ray_workers import busy_workers, kill
from units import Told, touch, wait_for

Capture = pytest.CaptureFixture[str]

CALL = {"data": "stdlib-docs", "limit": 8, "batch_tokens": 200, "pool": "mean", "device": "cpu"}
MODELS = ["pico-0.1m", "pico-0.4m@step-512"]


def refused(*arguments: str) -> int:
    with pytest.raises(SystemExit) as done:
        main(["evaluate", "pico-0.1m", "--data", "stdlib-docs", "--limit", "2", "--engine", "ray", *arguments])
    assert isinstance(done.value.code, int)
    return done.value.code


def test_without_ray_one_line_names_the_extra(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    assert refused() == 2
    assert capsys.readouterr().err == "rankscope: ray is not installed: pip install 'rankscope[ray]'\n"


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("ray://127.0.0.1:10001", "HOST:PORT, such as 10.0.0.1:6379, or auto on a node, got 'ray://127.0"),
        ("localhost", "got 'localhost'"),
        (":6379", "got ':6379'"),
        ("127.0.0.1:99999", "no Ray cluster answers at 127.0.0.1:99999"),
        ("no-such-host.invalid:6379", "no Ray cluster answers at no-such-host.invalid:6379"),
    ],
)
def test_addresses_without_a_cluster(address: str, message: str, capsys: Capture) -> None:
    assert refused("--address", address) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line


def test_a_closed_port_is_no_cluster() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(SettingsError, match="no Ray cluster answers"), connected_cluster(address, 1):
            pass


@pytest.mark.slow
def test_another_server_is_no_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rankscope.integrations.ray_connection._SECONDS_FOR_STATUS", 3.0)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(SettingsError, match="the server at .* is not a Ray cluster"), connected_cluster(address, 1):
            pass


def test_needs_fit_nodes() -> None:
    needs = Needs(cpus=2, gpus=1, memory=4 << 30)
    assert needs.fitting({"CPU": 8, "GPU": 3, "memory": 9 << 30}) == 2
    assert needs.fitting({"CPU": 8, "memory": 9 << 30}) == 0
    assert str(needs) == "2 CPU cores, 1 GPU, 4 GiB of memory"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RayCluster]:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("RAY_ADDRESS", raising=False)
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.setenv("PYTHONPATH", os.pathsep.join(path for path in sys.path if path))
        with connected_cluster(None, 2) as cluster:
            yield cluster


@pytest.fixture(scope="module")
def single(tmp_path_factory: pytest.TempPathFactory) -> rs.Run:
    """A run of one process with one thread, as workers have it."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return rs.evaluate(MODELS, **CALL, output=tmp_path_factory.mktemp("single") / "run", twin_cache=False)
    finally:
        torch.set_num_threads(threads)


def same(run: rs.Run, other: rs.Run) -> bool:
    return run.measurements().equals(other.measurements()) and run.summary_document() == other.summary_document()


class Killing(Told):
    """Kills a worker when the first batch is there."""

    def __init__(self) -> None:
        super().__init__()
        self.killed: list[int] = []

    def advance(self, done: int, *, computed: bool) -> None:
        super().advance(done, computed=computed)
        if not self.killed and (busy := busy_workers("pico")):
            kill(busy[0])
            self.killed.append(busy[0])


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="finds workers in /proc")
def test_two_workers_of_which_one_is_killed_measure_the_same(
    cluster: RayCluster, single: rs.Run, tmp_path: Path
) -> None:
    killing = Killing()
    call = CALL | {"twin_cache": False, "engine": "ray"}
    run = rs.evaluate(MODELS, **call, output=tmp_path / "run", progress=killing)
    assert killing.killed
    assert [line for line in killing.said if line.endswith("its worker was lost, another one continues")]
    assert same(run, single)
    assert run.vectors().equals(single.vectors())
    assert run.spectra().equals(single.spectra())
    assert killing.done == sum(killing.totals)
    sessions = run.manifest()["sessions"]
    assert len([session for session in sessions if session["measured"]]) > 1
    assert len([session for session in sessions if not session["measured"]]) == 1  # joined what workers measured


@pytest.mark.slow
def test_a_broken_model_is_named_and_the_others_are_measured(cluster: RayCluster, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(FAMILY / "pico-0.1m", broken)
    for file in TOKENIZER.iterdir():
        shutil.copy(file, broken)
    weights = {name: torch.full_like(one, torch.nan) for name, one in load_file(broken / "model.safetensors").items()}
    save_file(weights, broken / "model.safetensors", metadata={"format": "pt"})
    call = CALL | {"engine": "ray", "untrained_seeds": 0, "output": tmp_path / "run"}
    told = Told()
    with pytest.raises(
        RankscopeError, match="could not be measured .* everything else was measured and saved"
    ) as raised:
        rs.evaluate([str(broken), "pico-0.1m"], **call, progress=told)
    assert raised.value.exit_status == 1
    assert [line for line in told.said if line.startswith("failed: broken on stdlib-docs: ")]
    finished = [file.stem for file in (tmp_path / "run" / "measurements").glob("*.parquet")]
    assert finished == ["01-pico-0.1m_00-stdlib-docs_trained"]


@pytest.mark.slow
def test_images_and_texts_are_measured_on_workers(cluster: RayCluster, tmp_path: Path) -> None:
    call = {"limit": 12, "integration_items": 4, "controls": ["shuffled"], "device": "cpu"}
    torch.set_num_threads(1)
    single = rs.align("pico-vlm", "drawn-scenes", output=tmp_path / "single", **call)
    run = rs.align("pico-vlm", "drawn-scenes", output=tmp_path / "run", engine="ray", **call)
    assert same(run, single)


@pytest.mark.slow
def test_a_call_that_ends_early_stops_what_is_under_way(cluster: RayCluster, tmp_path: Path) -> None:
    needs = Needs(1)
    calls = [Call("waits", wait_for, tmp_path / "never", needs), Call("ends", touch, tmp_path / "ended", needs)]
    with closing(cluster.run(calls, lambda _: None)) as done:
        assert next(done).call.name == "ends"
    again = cluster.run([Call("fails", wait_for, None, Needs(2))], lambda _: None)  # both cores are free again
    (failed,) = again
    assert "NoneType" in str(failed.failure)
