"""A note names the rows and numbers that made it fire."""

from __future__ import annotations

from noted import ROW
from rankscope.statistics import Facts, Note, merged_notes, notes_on


def test_a_note_names_the_rows_that_it_concerns() -> None:
    (note,) = notes_on([ROW, ROW | {"layer": "3", "texts": 5}, ROW | {"layer": "4", "texts": 7}], Facts())
    assert note.rows == ("m | d | 3", "m | d | 4")
    assert note.numbers == {"lowest": 5.0, "highest": 7.0}


def test_notes_that_say_the_same_are_one_for_all_their_rows() -> None:
    notes = [
        Note("a", "few", ("1", "2"), {"lowest": 1.0}),
        Note("b", "few", ("1",), {}),
        Note("a", "few", ("2", "3"), {}),
    ]
    assert merged_notes(notes) == [Note("a", "few", ("1", "2", "3"), {"lowest": 1.0}), notes[1]]
    assert merged_notes([]) == []
