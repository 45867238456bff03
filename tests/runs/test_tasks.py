"""Cutting what is missing of a run into tasks."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankscope.runs.carry_out import Group
from rankscope.runs.tasks import cut
from units import Made

SIZES = st.lists(st.lists(st.integers(0, 40), max_size=6), min_size=1, max_size=3)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return Made(tmp_path_factory.mktemp("run") / "run")


def groups_of(made: Made, sizes: list[list[list[int]]], weights: list[int]) -> list[Group]:
    return [
        made.group(*(made.unit(f"{row}-{place}", one) for place, one in enumerate(of_network)), size=weight)
        for row, (of_network, weight) in enumerate(zip(sizes, weights, strict=True))
    ]


@given(data=st.data())
def test_each_missing_batch_is_in_one_task_of_its_network(made: Made, data: st.DataObject) -> None:
    sizes = data.draw(st.lists(SIZES, max_size=4))
    groups = groups_of(made, sizes, data.draw(st.lists(st.integers(0, 3), min_size=len(sizes), max_size=len(sizes))))
    units = [unit for group in groups for unit in group.units]
    missing = {unit.id: frozenset(n for n in range(len(unit.sizes)) if data.draw(st.booleans())) for unit in units}
    tasks = cut(groups, missing, data.draw(st.integers(0, 3)))
    held = [(unit, number) for task in tasks for unit, numbers in task.piece.items() for number in numbers]
    assert sorted(held) == sorted((unit, number) for unit, numbers in missing.items() for number in numbers)
    assert all(set(task.piece) <= {unit.id for unit in task.group.units} for task in tasks)
    assert [task.cost for task in tasks] == sorted((task.cost for task in tasks), reverse=True)


def test_networks_are_cut_only_where_there_are_few(made: Made) -> None:
    """Two workers get four tasks each: a single network is cut in eight, and eight networks are not cut."""
    for networks, tasks in ((1, 8), (2, 8), (8, 8), (20, 20)):
        groups = groups_of(made, [[[5] * 40]] * networks, [0] * networks)
        missing = {unit.id: frozenset(range(40)) for group in groups for unit in group.units}
        assert len(cut(groups, missing, 2)) == tasks


def test_a_larger_network_is_cut_more_and_begins_first(made: Made) -> None:
    groups = groups_of(made, [[[1] * 12], [[1] * 12]], [1, 3])
    missing = {unit.id: frozenset(range(12)) for group in groups for unit in group.units}
    tasks = cut(groups, missing, 1)  # costs 12 and 36, four tasks of 12
    assert [(task.group.size, task.cost) for task in tasks] == [(1, 12), (3, 12), (3, 12), (3, 12)]


def test_a_task_is_sent_without_what_is_not_its(made: Made) -> None:
    def fails(*_: object) -> bool:
        raise AssertionError

    group = made.group(made.unit("a", adopt=fails, after=fails), made.unit("b"))
    (unit_a, unit_b) = group.units
    (task,) = cut([group], {unit_a.id: frozenset({1})}, 0)[:1]
    assert task.name == "a"
    sent = pickle.loads(pickle.dumps(task.to_send()))
    (unit,) = sent.group.units
    assert (unit.id, unit.measure.data) == (unit_a.id, ("1",))
    assert not unit.adopt(None)
    assert unit.record.folder.locks.names == ()
    assert cut([group], {unit_a.id: frozenset({0}), unit_b.id: frozenset({0})}, 0)[0].name in ("a", "a and 1 more")
    assert Path(unit.record.folder.place) == made.path
