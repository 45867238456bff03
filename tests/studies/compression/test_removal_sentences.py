"""Sentences from planted losses: a ranking that is better is called so, and one that is not is not."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from rankscope.studies.compression.rankings import ORDERED, RANDOM
from rankscope.studies.compression.removal import Removals, removals_of
from rankscope.studies.compression.removal_sentences import best_ranking, sentences_on_removal

TEXTS = 30
BLOCKS = 4
SETS = {"entropy change": {1}, "eRank change": {2}, "1 - CKA": {3}, "block influence": {3}, "last first": {4}}


def measured(added: float, noise: float, seed: int) -> pl.DataFrame:
    """Losses of 2 to 4, and so much more for every text, with noise of its own."""
    base = np.linspace(2, 4, TEXTS)
    losses = base + added + noise * np.random.default_rng(seed).standard_normal(TEXTS)
    names = [str(n) for n in range(TEXTS)]
    return pl.DataFrame({"text_id": names, "layer": "last", "matrix_entropy": 1.0, "loss": losses})


def planted(added: dict[int, float], noise: float) -> Removals:
    removed = {(ranking, 1): (frozenset(SETS[ranking]),) for ranking in ORDERED}
    removed[RANDOM, 1] = tuple(frozenset({block}) for block in (1, 2, 3, 4))
    each = {frozenset({block}): measured(more, noise, block) for block, more in added.items()}
    scores = pl.DataFrame(
        {
            "block": [1, 2, 3, 4],
            "entropy_change": [4.0, 3.0, 2.0, 1.0],
            "effective_rank_change": [1.0, 1.0, 1.0, 1.0],
            "cka_distance": [0.1, 0.2, 0.3, 0.4],
            "block_influence": [0.1, 0.2, 0.3, 0.4],
        }
    )
    return removals_of(scores, removed, measured(0.0, 0.0, 0), each)


def test_a_ranking_that_is_better_is_said_to_be_beyond_noise() -> None:
    found = planted({1: 0.1, 2: 0.5, 3: 0.9, 4: 1.3}, noise=0.01)
    assert best_ranking(found, 1) == "entropy change"
    winner, verdict, of_entropy, associations = sentences_on_removal(found, "m on d", BLOCKS)
    assert winner.startswith("m on d: with 1 of 4 blocks removed, entropy change costs least (loss +0.099, ")
    assert "; block 1); next is eRank change (loss +0.499" in winner
    assert winner.count(", beyond noise (p = ") == 2  # from the next, and from random
    assert "beats the next one beyond noise for every number of removed blocks" in verdict
    assert "ranks 1st of 6 with 1 removed" in of_entropy
    assert "beyond noise for every number of removed blocks." in of_entropy
    assert "block influence +1.00" in associations
    assert "entropy change -1.00" in associations
    assert "eRank change" not in associations  # the same for all blocks


def test_noise_is_said_to_be_noise() -> None:
    found = planted({1: 0.3, 2: 0.3, 3: 0.3, 4: 0.3}, noise=0.5)
    winner, verdict, of_entropy, _ = sentences_on_removal(found, "m on d", BLOCKS)
    assert ", beyond noise" not in winner
    assert "not beyond noise" in winner
    assert "next one beyond noise for no number of removed blocks" in verdict
    assert "random removal for no number of removed blocks" in verdict
    assert of_entropy.endswith("beyond noise for no number of removed blocks.")


def test_rankings_that_remove_the_same_blocks_win_together() -> None:
    found = planted({1: 0.9, 2: 0.5, 3: 0.1, 4: 1.3}, noise=0.01)
    winner = next(iter(sentences_on_removal(found, "m on d", BLOCKS)))
    assert "1 - CKA and block influence cost least" in winner
    same = (pl.col("ranking") == "1 - CKA") & (pl.col("other") == "block influence")
    assert found.comparisons.filter(same).is_empty()


def test_random_may_win() -> None:
    found = planted({1: 1.0, 2: 1.0, 3: 1.0, 4: 1.0}, noise=0.01)
    worse = {**found.removed, (RANDOM, 1): (frozenset({9}),)}
    each = {frozenset({block}): measured(1.0, 0.01, block) for block in (1, 2, 3, 4)}
    each[frozenset({9})] = measured(0.1, 0.01, 9)
    found = removals_of(found.scores, worse, measured(0.0, 0.0, 0), each)
    winner, verdict, of_entropy, _ = sentences_on_removal(found, "m on d", BLOCKS)
    assert "removed, random costs least" in winner
    assert "random removal for no number" in verdict
    assert "random removal beyond noise for no number" in of_entropy


def test_the_table_is_the_mean_over_texts_and_draws() -> None:
    found = planted({1: 0.1, 2: 0.5, 3: 0.9, 4: 1.3}, noise=0.0)
    rows = {row["ranking"]: row for row in found.table.rows(named=True)}
    assert rows["last first"]["loss_change"] == pytest.approx(1.3)
    assert rows["last first"]["loss"] == pytest.approx(4.3)
    assert rows[RANDOM]["loss_change"] == pytest.approx(0.7)
    assert rows[RANDOM]["blocks"] == "4 draws"
    assert rows["block influence"]["blocks"] == "3"
    row = found.comparisons.filter(pl.col("ranking") == "entropy change", pl.col("other") == "last first")
    assert row["loss_difference"].item() == pytest.approx(-1.2)
    assert found.comparisons.height == 14  # of fifteen pairs one removes the same
    assert (found.comparisons["p_holm"] >= found.comparisons["p"]).all()
