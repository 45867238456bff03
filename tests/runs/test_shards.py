"""Cutting a run into pieces, and measuring them."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import rankscope as rs
from rankscope.errors import SettingsError
from rankscope.measuring import Row, text_columns
from rankscope.runs.carry_out import Group, Unit, UnitFile, carry_out
from rankscope.runs.folder import RunFolder, open_run_folder
from rankscope.runs.identity import UnitKey
from rankscope.runs.inventory import take_inventory
from rankscope.runs.locks import NoLocks
from rankscope.runs.progress import Silent
from rankscope.runs.record import Record
from rankscope.runs.shards import Shard, carry_out_shard, in_slurm_array, pieces_of
from rankscope.runs.storage import LocalFolder

SIZES = st.lists(st.lists(st.integers(0, 40), max_size=6), max_size=4)
"""Of the batches of each unit of a network."""


class Told(Silent):
    """Remembers what was said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, message: str) -> None:
        self.said.append(message)


def unit(record: Record, name: str, sizes: Collection[int], measured: list[tuple[str, int]] | None = None) -> Unit:
    def measure(_network: str, done: Collection[int]) -> Iterator[tuple[int, list[Row]]]:
        for number in range(len(sizes)):
            if number not in done:
                if measured is not None:
                    measured.append((name, number))
                yield number, [dict.fromkeys(text_columns()) | {"text_index": number, "layer": "last"}]

    store = UnitFile(record.folder, name, ("last",))
    return Unit(name, UnitKey("tokens", name), record, store, name, tuple(sizes), "tokens", measure)


def groups_of(sizes: list[list[list[int]]]) -> list[Group]:
    record = Record(RunFolder(LocalFolder(Path("nowhere")), NoLocks()), {})
    return [
        Group(tuple(unit(record, f"{row}-{place}", one) for place, one in enumerate(of_network)), lambda _: "network")
        for row, of_network in enumerate(sizes)
    ]


@given(st.lists(SIZES, max_size=4), st.integers(1, 12))
def test_pieces_are_stretches_of_the_run_and_hold_each_batch_once(sizes: list[list[list[int]]], count: int) -> None:
    groups = groups_of(sizes)
    pieces = pieces_of(groups, count)
    assert len(pieces) == count
    held = [(one, number) for piece in pieces for one, numbers in piece.items() for number in numbers]
    assert held == [(one.id, n) for group in groups for one in group.units for n in range(len(one.sizes))]
    assert all(numbers for piece in pieces for numbers in piece.values())


@given(st.lists(SIZES, max_size=4), st.integers(1, 12))
def test_pieces_have_equal_tokens_and_load_few_networks(sizes: list[list[list[int]]], count: int) -> None:
    groups = groups_of(sizes)
    tokens = {(one.id, n): size for group in groups for one in group.units for n, size in enumerate(one.sizes)}
    pieces = pieces_of(groups, count)
    share, largest = sum(tokens.values()) / count, max(tokens.values(), default=0)
    for piece in pieces:
        held = sum(tokens[one, number] for one, numbers in piece.items() for number in numbers)
        assert share - largest <= held <= share + largest
    loads = [sum(any(one.id in piece for one in group.units) for group in groups) for piece in pieces]
    networks = sum(any(one.sizes for one in group.units) for group in groups)
    assert networks <= sum(loads) <= networks + count - 1 or not networks


def test_pieces_by_hand() -> None:
    """60 tokens in three pieces of 20: 25 is cut in the middle of the run's second batch, and 0 follows its 5."""
    (one, two) = groups_of([[[10, 25, 5, 0]], [[20]]])
    pieces = pieces_of([one, two], 3)
    first, second, third = ({unit: list(numbers) for unit, numbers in piece.items()} for piece in pieces)
    (of_one,), (of_two,) = one.units, two.units
    assert first == {of_one.id: [0]}
    assert second == {of_one.id: [1, 2, 3]}
    assert third == {of_two.id: [0]}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("7/7", "from 0 to n - 1, got 7/7"),
        ("0/0", "got 0/0"),
        ("-1/7", "i/n, such as 0/7"),
        ("1", "got '1'"),
        ("1/2/3", "got '1/2/3'"),
        ("٣/7", "got"),
        ("", "got ''"),
    ],
)
def test_shards_that_are_none(given: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        Shard.of(given)


def slurm(task: int, count: int, first: int = 0, step: int | None = None) -> dict[str, str]:
    names = {"ID": task, "COUNT": count, "MIN": first} | ({"STEP": step} if step is not None else {})
    return {f"SLURM_ARRAY_TASK_{name}": str(value) for name, value in names.items()}


@pytest.mark.parametrize(
    ("environment", "shard"),
    [
        (slurm(0, 1), "0/1"),
        (slurm(6, 7), "6/7"),
        (slurm(3, 3, first=1), "2/3"),
        (slurm(9, 4, first=3, step=2), "3/4"),
    ],
)
def test_a_slurm_array_says_which_shard(
    environment: dict[str, str], shard: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert str(in_slurm_array(environment)) == shard
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    told: list[str] = []
    assert str(Shard.of("auto", told.append)) == shard
    task = environment["SLURM_ARRAY_TASK_ID"]
    assert told == [f"shard {shard}, from task {task} of the Slurm array"]


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({}, "SLURM_ARRAY_TASK_ID, SLURM_ARRAY_TASK_COUNT, SLURM_ARRAY_TASK_MIN is not set"),
        (slurm(5, 3), "task 5 is not one of them: use an array without gaps"),
        (slurm(4, 4, first=3, step=2), "task 4 is not one of them"),
        (slurm(1, 4, first=3), "task 1 is not one of them"),
        (slurm(1, 4, step=0), "in steps of 0"),
        (slurm(1, 4) | {"SLURM_ARRAY_TASK_COUNT": "many"}, "SLURM_ARRAY_TASK_COUNT must be an integer, got 'many'"),
    ],
)
def test_no_slurm_array(environment: dict[str, str], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        in_slurm_array(environment)


def test_a_shard_loads_what_it_has_batches_of_and_says_what_is_left(tmp_path: Path) -> None:
    folder = open_run_folder(tmp_path, {"settings": {}}, units=("a", "b", "c"))
    measured: list[tuple[str, int]] = []
    loads: list[str] = []

    def groups() -> list[Group]:
        record = Record(folder, {"versions": {}})
        units = [unit(record, name, (10, 10), measured) for name in ("a", "b", "c")]
        return [Group((one,), lambda _, one=one: loads.append(one.name) or "network") for one in units]

    told = Told()
    carry_out_shard(groups(), Shard(1, 3), told)
    assert (measured, loads) == ([("b", 0), ("b", 1)], ["b"])
    assert told.said == [
        "shard 1/3: 2 of 6 batches, 20 of 60 tokens",
        "shard 1/3 is done",
        f"{tmp_path}: 2 units have not been started (a, c)",
    ]
    carry_out_shard(groups(), Shard(1, 3), told)
    assert len(measured) == 2
    assert told.said[-2] == "shard 1/3 is already complete"
    carry_out_shard(groups(), Shard(1, 2), told)
    assert measured[2:] == [("c", 0), ("c", 1)]
    assert loads == ["b", "c"]
    carry_out_shard(groups(), Shard(0, 2), told)
    assert loads == ["b", "c", "a"]
    assert told.said[-1] == (
        f"{tmp_path}: nothing is missing; finish the run with rankscope merge {tmp_path} --output {tmp_path}"
    )
    assert take_inventory(tmp_path).is_complete
    assert not list(tmp_path.glob("measurements/*.parquet"))  # nothing is joined
    carry_out(groups(), Silent())
    assert loads == ["b", "c", "a"]  # only joined
    assert len(list(tmp_path.glob("measurements/*.parquet"))) == 3


CALL = {"models": ["pico-0.1m", "pico-0.4m"], "data": "stdlib-docs", "limit": 8, "batch_tokens": 200, "pool": "mean"}


@pytest.fixture(scope="module")
def single(tmp_path_factory: pytest.TempPathFactory) -> rs.Run:
    return rs.evaluate(**CALL, output=tmp_path_factory.mktemp("single") / "run", twin_cache=False)


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 2, 7])
def test_sharded_is_single(single: rs.Run, tmp_path: Path, count: int) -> None:
    for number in reversed(range(count)):
        rs.evaluate(**CALL, output=tmp_path / "run", shard=f"{number}/{count}", twin_cache=False)
    shared = rs.Run(tmp_path / "run")
    assert not (tmp_path / "run" / "summary.json").exists()
    in_memory = shared.summary_document()
    finished = rs.evaluate(**CALL, output=tmp_path / "run", twin_cache=False)
    for run in (shared, finished):
        assert run.measurements().equals(single.measurements())
        assert run.vectors().equals(single.vectors())
        assert run.spectra().equals(single.spectra())
    assert single.summary_document() == finished.summary_document() == in_memory
    measured = [session["measured"] for session in finished.manifest()["sessions"]]
    assert len(measured) == count + 1
    assert measured[-1] == []  # only joined


@pytest.mark.slow
def test_shards_share_twins_through_the_cache(tmp_path: Path) -> None:
    settings = {"limit": 8, "batch_tokens": 100}
    single = rs.evaluate("pico-0.1m", "stdlib-docs", output=tmp_path / "single", **settings)
    told = Told()
    for number in range(3):
        rs.evaluate("pico-0.1m", "stdlib-docs", output=tmp_path / "run", shard=f"{number}/3", progress=told, **settings)
    assert not [line for line in told.said if "loading untrained twin" in line]
    assert [line for line in told.said if "twin 0 is in the cache" in line]
    run = rs.Run(tmp_path / "run")
    assert run.measurements().equals(single.measurements())
    assert run.summary_document() == single.summary_document()
