"""A note names the rows and numbers that made it fire."""

from __future__ import annotations

from noted import ROW
from rankscope.statistics import Facts, Note, merged_notes, notes_on


def test_a_note_names_the_rows_that_it_concerns() -> None:
    (note,) = notes_on([ROW, ROW | {"layer": "3", "texts": 5}, ROW | {"layer": "4", "texts": 7}], Facts())
    assert note.rows == ("m | d | 3", "m | d | 4")
    assert note.numbers == {"lowest": 5.0, "highest": 7.0}


def test_notes_with_the_same_text_become_one_on_all_their_rows() -> None:
    few, same = (
        Note("a", "few", ("1", "2"), {"lowest": 5.0, "highest": 7.0}),
        Note("a", "few", ("2", "3"), {"lowest": 3.0}),
    )
    other = Note("b", "few", ("1",), {})
    merged = Note("a", "few", ("1", "2", "3"), {"lowest": 3.0, "highest": 7.0})
    assert merged_notes([few, other, same]) == [merged, other]
    assert merged_notes([]) == []
