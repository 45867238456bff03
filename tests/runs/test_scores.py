from __future__ import annotations

from rankscope.runs import Score, row_facts, scores_of

ROW = {
    "model": "m", "dataset": "d", "layer": "0", "texts": 3, "tokens": 40, "hidden_size": 8, "loss": 2.5,
    "effective_rank": 4.0, "effective_rank_low": 3.5, "effective_rank_high": 4.5, "diff_erank": None,
    "initializer_range": 0.02,
}  # fmt: skip


def test_numbers_without_counts_and_names() -> None:
    assert scores_of(ROW) == [Score("loss", 2.5, None), Score("effective_rank", 4.0, (3.5, 4.5))]


def test_counts_and_sizes() -> None:
    assert row_facts(ROW) == {"texts": 3, "tokens": 40, "hidden_size": 8, "initializer_range": 0.02}
