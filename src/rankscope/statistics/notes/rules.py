"""All notes, in the order in which they are reported."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rankscope.statistics.aggregation import Summary
from rankscope.statistics.notes import networks, ranks, texts, twins
from rankscope.statistics.notes.note import Facts, Note

_RULES: tuple[Callable[[Sequence[Summary], Facts], list[Note]], ...] = (
    twins.initializer_unknown,
    twins.initializer_assumed,
    twins.negative_diff_erank,
    twins.twin_collapsed,
    twins.twin_wide,
    twins.dropout_in_twin,
    networks.not_causal,
    networks.texts_one_by_one,
    networks.mean_of_streams,
    texts.lengths_differ,
    ranks.near_noise,
    ranks.ranked_by_hidden_size,
    texts.few_texts,
    texts.many_skipped,
    texts.texts_cut,
    ranks.sink_layers,
    networks.several_versions,
)


def notes_on(rows: Sequence[Summary], facts: Facts) -> list[Note]:
    """All notes that fire, in a fixed order."""
    return [note for rule in _RULES for note in rule(rows, facts)]
