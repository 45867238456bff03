"""Notes come in a fixed order, and none where there is nothing to note."""

from __future__ import annotations

from noted import ROW, TWIN, fired


def test_an_unremarkable_row_has_no_notes() -> None:
    assert fired([ROW]) == []


def test_rows_without_numbers_say_nothing() -> None:
    empty = dict.fromkeys(ROW) | {"model": "m", "dataset": "d", "layer": "last", "texts": 0, "skipped": 3, "tokens": 0}
    assert fired([empty]) == ["few-texts", "many-skipped"]


def test_notes_come_in_a_fixed_order() -> None:
    row = ROW | {"texts": 5, "skipped": 5, "cut": 1, "effective_rank_over_noise": 1.0, TWIN: 0.9, "diff_erank_high": -1}
    names = ["negative-diff-erank", "twin-wide", "near-noise", "few-texts", "many-skipped", "texts-cut"]
    assert fired([row]) == names
