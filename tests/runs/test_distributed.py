"""The Ray engine, on workers that are this process."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from rankscope.errors import RankscopeError, SettingsError
from rankscope.execution import Execution
from rankscope.integrations.ray import Call, Done, Needs
from rankscope.runs.carry_out import Unit
from rankscope.runs.distributed import RayEngine
from rankscope.runs.engine import LocalEngine, opened_engine
from rankscope.runs.measurements import read_measurements
from rankscope.runs.shards import Shard
from units import Made, Told


@dataclass
class Here:
    """Carries calls out in this process, on arguments that were sent."""

    resources: tuple[dict[str, float], ...] = ({"CPU": 2, "memory": 8 << 30},)
    is_ours: bool = True
    lost: frozenset[str] = frozenset()
    calls: list[Call] = field(default_factory=list)

    def nodes(self) -> list[dict[str, float]]:
        return list(self.resources)

    def workers(self, needs: Needs) -> int:
        return sum(needs.fitting(node) for node in self.resources)

    def run(self, calls: Iterable[Call], told: Callable[[Any], None]) -> Generator[Done]:
        for call in calls:
            self.calls.append(call)
            if call.name in self.lost:
                yield Done(call, failure="its worker was lost")
            else:
                yield Done(call, call.function(pickle.loads(pickle.dumps(call.argument)), told))


@pytest.fixture
def made(tmp_path: Path) -> Made:
    return Made(tmp_path / "run")


def engine(cluster: Here) -> tuple[RayEngine, Told]:
    told = Told()
    return RayEngine(cluster, 1, told), told


def test_a_run_is_measured_joined_and_not_measured_again(made: Made) -> None:
    groups = [made.group(made.unit("a"), made.unit("b")), made.group(made.unit("c", (5,)))]
    (here, told) = engine(cluster := Here())
    here.carry_out(groups)
    assert all(unit.store.is_finished() for group in groups for unit in group.units)
    assert read_measurements(made.path)["text_index"].to_list() == [0, 1, 0, 1, 0]
    assert (told.totals, told.done) == ([45], 45)
    count = len(cluster.calls)
    here.carry_out(groups)
    assert len(cluster.calls) == count


def test_failures_are_named_and_the_rest_is_measured(made: Made) -> None:
    groups = [
        made.group(made.unit("a", (1, 1), poison=frozenset({1}))),
        made.group(made.unit("b", (1,)), is_broken=True),
        made.group(made.unit("c", (1,))),
        made.group(made.unit("d", (1,))),
    ]
    (here, told) = engine(Here(lost=frozenset({"d"})))
    with pytest.raises(RankscopeError, match="^3 parts of the run could not be measured .* to retry$"):
        here.carry_out(groups)
    assert {line for line in told.said if line.startswith("failed")} == {
        "failed: a: batch 1 is poisoned", "failed: b: b is broken", "failed: d: its worker was lost"
    }  # fmt: skip
    assert [unit.store.is_finished() for group in groups for unit in group.units] == [False, False, True, False]
    healed = [made.group(made.unit("a", (1, 1))), *(made.group(made.unit(name, (1,))) for name in "bcd")]
    here, told = engine(Here())
    here.carry_out(healed)
    assert told.totals == [3]
    assert all(unit.store.is_finished() for group in healed for unit in group.units)


def test_what_units_share_is_measured_once(made: Made) -> None:
    kept: list[str] = []

    def unit(name: str, *, keeps: bool = True) -> Unit:
        def adopt(_numbers: object) -> bool:
            if kept:
                made.record.begin(name, one.about, Told())
                made.record.folder.adopt_unit(name, made.record.folder.finished_unit(kept[0]))
            return bool(kept)

        one = made.unit(name, adopt=adopt, after=lambda *_: keeps and kept.append(name), shared="twin")
        return one

    (here, _) = engine(cluster := Here())
    here.carry_out([made.group(unit(name)) for name in ("a", "b", "c")])
    assert {call.argument.task.name for call in cluster.calls} == {"a"}
    assert kept == ["a"]
    assert len(list(made.path.glob("measurements/*.parquet"))) == 3


def test_what_cannot_be_shared_is_measured_together(made: Made) -> None:
    (here, told) = engine(Here())
    here.carry_out([made.group(made.unit(name, (1,), shared="twin")) for name in ("a", "b", "c")])
    assert told.totals == [1, 2]


def test_the_end_of_a_unit_that_takes_a_network_is_a_task(made: Made, tmp_path: Path) -> None:
    group = made.group(made.unit("a", after=Note(tmp_path / "loaded"), needs_network_after=True))
    (here, _) = engine(cluster := Here())
    here.carry_out([group])
    assert (tmp_path / "loaded").read_text() == "a"
    assert cluster.calls[-1].argument.task.piece == {}


@dataclass(frozen=True)
class Note:
    """Notes which network it was given."""

    path: Path

    def __call__(self, load: Callable[[], str], _progress: object) -> None:
        self.path.write_text(load())


def test_a_machine_that_is_too_small_says_what_is_needed(made: Made) -> None:
    group = made.group(made.unit("a"), size=80 << 30)
    with pytest.raises(SettingsError, match=r"no worker on this machine has 1 CPU core, 101 GiB of memory"):
        engine(Here())[0].carry_out([group])
    (here, told) = engine(Here(is_ours=False))
    here.carry_out([group])
    assert "no node currently has 1 CPU core, 101 GiB of memory: waiting for one to join the cluster" in told.said


def test_workers_measure_on_gpus_where_the_cluster_has_them(made: Made) -> None:
    gpus = Here(({"CPU": 4}, {"CPU": 8, "GPU": 4, "memory": 1 << 40}), is_ours=False)
    (here, _) = engine(gpus)
    assert [here.device_of(device) for device in ("auto", "cpu", "cuda", "spread")] == ["cuda", "cpu", "cuda", "spread"]
    assert engine(Here())[0].device_of("auto") == "cpu"
    with pytest.raises(SettingsError, match="got 'cuda:1'"):
        here.device_of("cuda:1")
    with pytest.raises(SettingsError, match="this machine has no GPU for device 'cuda'"):
        engine(Here())[0].device_of("cuda")
    for device, count in (("cuda", 1), ("spread", 4), ("cpu", 0)):
        here.carry_out([replace(made.group(made.unit(device)), device=device)])
        assert gpus.calls[-1].needs.gpus == count
    assert gpus.workers(gpus.calls[-1].needs) == 8


def test_the_local_engine() -> None:
    with opened_engine(Execution(shard="1/2"), Told()) as local:
        assert isinstance(local, LocalEngine)
        assert local.shard == Shard(1, 2)
        assert not local.is_whole
    with opened_engine(Execution(), Told()) as local:
        assert local.is_whole
