"""Notes: one line each on a known pitfall that applies to a run's numbers.

A note has a name and a threshold, both explained in `docs/reading.md`. It is produced by a rule, a function from the
rows of a summary and facts about the run to the notes that fire.
"""

from rankscope.statistics.notes.note import Facts, Note, ReadingFacts, merged_notes
from rankscope.statistics.notes.rules import notes_on

__all__ = ["Facts", "Note", "ReadingFacts", "merged_notes", "notes_on"]
