from __future__ import annotations

from pathlib import Path

import pytest

from rankscope.errors import DataError
from rankscope.texts import read_leaderboard

BOARD = ",win_rate,lc_winrate,mode\nStrong 7B,76.5,86,community\nweak,1.25,,verified\n"


@pytest.fixture
def board(tmp_path: Path) -> Path:
    (tmp_path / "board.csv").write_text(BOARD)
    return tmp_path / "board.csv"


def test_a_column_by_the_first_or_another(board: Path) -> None:
    assert read_leaderboard(board, "win_rate") == {"Strong 7B": 76.5, "weak": 1.25}
    assert read_leaderboard(board, "lc_winrate") == {"Strong 7B": 86.0}  # an empty cell is no number
    assert read_leaderboard(board, "win_rate", "mode") == {"community": 76.5, "verified": 1.25}


@pytest.mark.parametrize(
    ("column", "names", "message"),
    [
        ("winrate", None, "no column 'winrate'; available columns: '', 'win_rate', 'lc_winrate', 'mode'"),
        ("win_rate", "model", "no column 'model'"),
        ("mode", None, "mode of 'Strong 7B' must be a number, got 'community'"),
    ],
)
def test_what_is_not_there(board: Path, column: str, names: str | None, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_leaderboard(board, column, names)


@pytest.mark.parametrize(
    ("added", "message"),
    [
        ("weak,2,3,verified\n", "'weak' occurs twice"),
        ("odd,nan,3,verified\n", "win_rate of 'odd' must be a number, got 'nan'"),
    ],
)
def test_rows_that_cannot_be_used(board: Path, added: str, message: str) -> None:
    board.write_text(BOARD + added)
    with pytest.raises(DataError, match=message):
        read_leaderboard(board, "win_rate")


def test_no_rows(board: Path) -> None:
    board.write_text(BOARD.splitlines()[0] + "\n")
    with pytest.raises(DataError, match="no rows"):
        read_leaderboard(board, "win_rate")
