"""What all workers of a run do, on one bar."""

from __future__ import annotations

from pathlib import Path

from rankscope.runs.board import Board
from rankscope.runs.worker import Began, Kept, Said, Taken
from units import Made, Told


def test_a_board_counts_each_batch_once_and_names_what_workers_do(tmp_path: Path) -> None:
    made, told = Made(tmp_path / "run"), Told()
    one, two = made.unit("a", (10, 20)), made.unit("b", (5, 7))
    board = Board.of([one, two], {one.id: frozenset({0, 1}), two.id: frozenset({1})}, told)
    assert (told.labels, told.totals) == (["waiting for workers"], [37])
    for message in (Began(0, "a"), Began(1, "a"), Said("loading"), Said("loading"), Kept(one.id, 1), Kept(one.id, 1)):
        board.see(message)
    assert told.done == 20
    assert told.said == ["loading"]
    assert told.labels[1:] == ["1 worker: a", "2 workers: 2 x a"]
    board.see(Taken(1))
    board.see(Taken(1))
    assert told.said[1:] == ["a: its worker was lost, another one continues"]
    assert board.label == "1 worker: a"
    board.see(Began(1, "b"))
    board.see(Began(2, "c"))
    assert board.label == "3 workers: a; b and 1 more"
    board.end(0)
    board.end(1)
    board.end(1)
    assert told.labels[-1] == "1 worker: c"
    board.see(Began(1, "too late"))
    board.see(Taken(0))
    assert told.labels[-1] == "1 worker: c"
    assert len(told.said) == 2
    board.see(Kept(two.id, 1))
    assert told.done == 27
