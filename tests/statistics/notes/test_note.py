"""A note names the rows and numbers that made it fire."""

from __future__ import annotations

from noted import ROW
from rankscope.statistics import Facts, notes_on


def test_a_note_names_the_rows_that_it_concerns() -> None:
    (note,) = notes_on([ROW, ROW | {"layer": "3", "texts": 5}, ROW | {"layer": "4", "texts": 7}], Facts())
    assert note.rows == ("m | d | 3", "m | d | 4")
    assert note.numbers == {"lowest": 5.0, "highest": 7.0}
