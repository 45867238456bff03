"""A summary row of which there is nothing to note, and the notes that fire on rows."""

from __future__ import annotations

from rankscope.statistics import Facts, notes_on

ROW = {
    "model": "m", "dataset": "d", "layer": "last", "texts": 100, "skipped": 0, "tokens": 10_000, "hidden_size": 64,
    "effective_rank": 20.0, "effective_rank_over_noise": 0.4, "matrix_nuclear_norm_over_noise": 0.7, "stable_rank": 3.0,
    "untrained_seeds": 1, "effective_rank_untrained": 30.0, "effective_rank_untrained_over_noise": 0.5,
    "diff_erank": 10.0, "diff_erank_low": 9.0, "diff_erank_high": 11.0,
}  # fmt: skip
TWIN = "effective_rank_untrained_over_noise"


def fired(rows: list[dict], **facts: object) -> list[str]:
    """Names of the notes, in their order."""
    return [note.name for note in notes_on(rows, Facts(**facts))]
