"""Notes on untrained twins, and on Diff-eRank, which depends on them."""

from __future__ import annotations

from collections.abc import Sequence

from rankscope.statistics.aggregation import Summary
from rankscope.statistics.notes.note import Facts, Note, above, below, note_with_extremes, number, row_name

COLLAPSED_TWIN, WIDE_TWIN = 0.15, 0.7  # untrained eRank divided by that of noise


def initializer_unknown(rows: Sequence[Summary], _: Facts) -> list[Note]:
    """There is no twin, because the initialisation of its weights is unknown."""
    found = [row for row in rows if row.get("initializer_source") == "unknown"]
    text = (
        "a GGUF file does not say how its network was initialised, so there is no untrained eRank and no Diff-eRank: "
        "add the original configuration (--config-from MODEL_OR_FOLDER) or assume a value (--initializer-range 0.02)"
    )
    return [Note("initializer-unknown", text, tuple(map(row_name, found)), {})] if found else []


def initializer_assumed(rows: Sequence[Summary], _: Facts) -> list[Note]:
    """The initialisation of the twin's weights is not stated in the model's files."""
    notes = []
    for source, what in (
        ("flag", "the initializer_range of the twin is an assumption (--initializer-range {})"),
        ("library default", "the configuration does not say how weights are initialised: transformers' default ({})"),
    ):
        found = [row for row in rows if str(row.get("initializer_source")).startswith(source)]
        values = ", ".join(dict.fromkeys(f"{number(row['initializer_range'], absent=0.0):.4g}" for row in found))
        text = f"{what.format(values)}; the untrained eRank and Diff-eRank depend on it"
        notes += note_with_extremes("initializer-assumed", text, found, "initializer_range")
    return notes


def negative_diff_erank(rows: Sequence[Summary], facts: Facts) -> list[Note]:
    """The trained network has more effective dimensions than its baseline."""
    found = [row for row in rows if below(row.get("diff_erank_high", row.get("diff_erank")), 0)]
    text = "Diff-eRank is negative: the baseline has fewer effective dimensions than the model"
    if facts.protocol in ("default", "paper"):
        text += (
            ". This depends on how the network was initialised, and is not an error "
            "(--protocol permuted gives another baseline)"
        )
    return note_with_extremes("negative-diff-erank", text, found, "diff_erank")


def twin_collapsed(rows: Sequence[Summary], _: Facts) -> list[Note]:
    """The twin's eRank is far below that of noise."""
    found = [row for row in rows if below(row.get("effective_rank_untrained_over_noise"), COLLAPSED_TWIN)]
    limit = f"{COLLAPSED_TWIN:.0%}"
    text = f"the twin is collapsed: its eRank is below {limit} of noise, so Diff-eRank says little about training"
    return note_with_extremes("twin-collapsed", text, found, "effective_rank_untrained_over_noise")


def twin_wide(rows: Sequence[Summary], _: Facts) -> list[Note]:
    """The twin's eRank is close to that of noise."""
    found = [row for row in rows if above(row.get("effective_rank_untrained_over_noise"), WIDE_TWIN)]
    text = (
        f"the twin is unusually wide: its eRank is above {WIDE_TWIN:.0%} of noise, so Diff-eRank mostly counts tokens"
    )
    return note_with_extremes("twin-wide", text, found, "effective_rank_untrained_over_noise")


def dropout_in_twin(rows: Sequence[Summary], facts: Facts) -> list[Note]:
    """Dropout was active in the twin."""
    found = [row for row in rows if row.get("untrained_seeds") and facts.dropout.get(str(row["model"]), 0) > 0]
    if facts.protocol != "paper" or not found:
        return []
    largest = max(facts.dropout[str(row["model"])] for row in found)
    text = f"dropout ({largest:g}) was active in the twin, as in the published script: it widens the untrained eRank"
    return [Note("dropout-in-twin", text, tuple(map(row_name, found)), {"dropout": largest})]
