"""Notes: one line each on what is known to mislead, where it shows in these numbers.

A note has a name and a threshold, both explained in `docs/reading.md`. Each is a function from the rows
of a summary and what is known of the run to the notes that fire.
"""

from rankscope.statistics.notes.note import Facts, Note, ReadingFacts
from rankscope.statistics.notes.rules import notes_on

__all__ = ["Facts", "Note", "ReadingFacts", "notes_on"]
