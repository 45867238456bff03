"""What a worker does with a task."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from rankscope.errors import StorageError
from rankscope.runs.carry_out import Group
from rankscope.runs.manifest import MANIFEST, read_manifest
from rankscope.runs.tasks import Task
from rankscope.runs.worker import Assignment, Began, Failure, Kept, Message, Said, Taken, work
from units import Made


@pytest.fixture
def made(tmp_path: Path) -> Made:
    return Made(tmp_path / "run")


def done(group: Group, piece: dict[str, set[int]]) -> tuple[tuple[Failure, ...], list[Message]]:
    told: list[Message] = []
    by_id = {unit.id: piece[unit.name] for unit in group.units if unit.name in piece}
    return work(Assignment(7, Task(group, by_id, 0), 1), told.append), told


def kept(told: list[Message]) -> list[tuple[str, int]]:
    return [(message.unit[1], message.batch) for message in told if isinstance(message, Kept)]


def test_a_network_is_loaded_once_and_its_batches_are_kept(made: Made) -> None:
    group = made.group(made.unit("a", [1] * 4), made.unit("b"))
    failures, told = done(group, {"a": {1, 3}, "b": {0}})
    assert failures == ()
    assert kept(told) == [("a", 1), ("a", 3), ("b", 0)]
    assert [message for message in told if not isinstance(message, Kept)] == [
        Taken(7), Said("loading a"), Began(7, "a"), Began(7, "b")
    ]  # fmt: skip
    assert group.units[0].store.batches() == {1, 3}
    (session,) = read_manifest(made.path)["sessions"]
    assert session["measured"] == ["a", "b"]
    assert session["finished"]
    assert session["machine"]


def test_what_a_lost_worker_kept_is_not_measured_again(made: Made) -> None:
    group = made.group(made.unit("a", [1] * 4))
    done(group, {"a": {0, 1}})
    poisoned = made.group(made.unit("a", [1] * 4, poison=frozenset({0, 1})))
    assert done(poisoned, {"a": {0, 1, 2}})[0] == ()
    _, told = done(poisoned, {"a": {0, 1, 2}})
    assert kept(told) == [("a", 0), ("a", 1), ("a", 2)]
    assert Said("loading a") not in told


@pytest.mark.parametrize("ahead", [0, 1, 2])
def test_a_poisoned_batch_is_named_and_the_rest_is_measured(made: Made, ahead: int) -> None:
    group = made.group(made.unit("a", [1] * 6, poison=frozenset({2}), ahead=ahead), made.unit("b"))
    failures, told = done(group, {"a": set(range(6)), "b": {0, 1}})
    assert failures == (Failure("a", "batch 2 is poisoned"),)
    assert sorted(kept(told)) == [*(("a", number) for number in (0, 1, 3, 4, 5)), ("b", 0), ("b", 1)]
    assert told.count(Said("loading a")) == 1


def test_a_network_that_fails_on_three_batches_is_given_up(made: Made) -> None:
    group = made.group(made.unit("a", [1] * 6, poison=frozenset(range(1, 6))))
    failures, told = done(group, {"a": set(range(6))})
    assert [failure.why for failure in failures] == [
        "batch 1 is poisoned", "batch 2 is poisoned", "batch 3 is poisoned",
        "2 more batches were skipped because 3 failed",
    ]  # fmt: skip
    assert kept(told) == [("a", 0)]


def test_a_network_that_cannot_be_loaded_is_tried_once(made: Made) -> None:
    failures, told = done(made.group(made.unit("a"), made.unit("b"), is_broken=True), {"a": {0, 1}, "b": {0}})
    assert failures == (Failure("a and 1 more", "a is broken"),)
    assert told == [Taken(7), Said("loading a")]


def test_a_store_that_is_gone_ends_the_task(made: Made) -> None:
    class Full(type(made.unit("a").store)):
        def keep(self, number: int, rows: list[object]) -> None:
            raise StorageError("the disk is full")

    unit = made.unit("a")
    group = made.group(replace(unit, store=Full(**vars(unit.store))))
    assert done(group, {"a": {0, 1}})[0] == (Failure("a", "the disk is full"),)


def test_a_node_that_does_not_see_the_folder_says_so(made: Made) -> None:
    (made.path / MANIFEST).unlink()
    ((failure,), told) = done(made.group(made.unit("a")), {"a": {0, 1}})
    assert f"cannot access {made.path}: choose an --output that all nodes share" in failure.why
    assert told == [Taken(7)]


def test_units_are_ended_where_that_takes_a_network(made: Made) -> None:
    after: list[str] = []
    unit = made.unit("a", after=lambda load, _progress: after.append(load()))
    group = made.group(unit)
    done(group, {"a": {0, 1}})
    assert after == []
    assert done(group, {})[0] == ()
    assert after == ["a"]
    assert unit.store.is_finished()
