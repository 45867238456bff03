"""The scores of blocks are the public functions of their hidden states, and orders follow from them."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
import torch

import rankscope as rs
from rankscope.metrics import linear_cka, mean_cosine_similarity
from rankscope.models import examine, find_blocks
from rankscope.runs import Silent, prepare
from rankscope.settings import Settings
from rankscope.studies.compression.rankings import block_scores, counts_for, orders, random_orders
from rankscope.studies.compression.removal import scores_of
from rankscope.studies.compression.workbench import Workbench


def test_scores_are_those_of_each_blocks_input_and_output(tmp_path: Path) -> None:
    settings = Settings(limit=9, max_length=40, untrained_seeds=0)
    job = prepare(["pico-0.1m"], ["stdlib-docs"], settings)
    bench = Workbench(job, job.text_sets[0], tmp_path, Silent())
    scores = scores_of(bench)
    model = bench.loaded()
    assert len(examine(model).blocks) == scores.height == bench.blocks
    texts = [torch.tensor([text.tokens]) for batch in bench.ranking.batches for text in batch]
    for number, block in enumerate(find_blocks(model), start=1):
        seen: list[tuple[torch.Tensor, torch.Tensor]] = []
        hook = block.register_forward_hook(
            lambda _, args, output, seen=seen: seen.append((args[0][0], (output[0] if output.dim() == 3 else output)))
        )
        with torch.no_grad():
            for ids in texts:
                model(input_ids=ids)
        hook.remove()

        def mean(numbers: list[float]) -> float:
            return sum(numbers) / len(numbers)

        row = scores.row(number - 1, named=True)
        of_entropy = mean([float(rs.matrix_entropy(after) - rs.matrix_entropy(before)) for before, after in seen])
        of_rank = mean([float(rs.effective_rank(after) - rs.effective_rank(before)) for before, after in seen])
        assert row["block"] == number
        assert row["entropy_change"] == pytest.approx(abs(of_entropy), abs=1e-5)
        assert row["effective_rank_change"] == pytest.approx(abs(of_rank), abs=1e-3)
        assert row["cka_distance"] == pytest.approx(1 - mean([float(linear_cka(*pair)) for pair in seen]), abs=1e-5)
        influence = 1 - mean([float(mean_cosine_similarity(*pair)) for pair in seen])
        assert row["block_influence"] == pytest.approx(influence, abs=1e-5)


def test_changes_of_opposite_sign_cancel_before_their_size_is_taken() -> None:
    """The score is the size of the mean change, not the mean size of changes."""
    rows = [
        {"layer": layer, "matrix_entropy": 1.0, "effective_rank": rank, "matrix_entropy_change": change,
         "linear_cka": 0.5, "mean_cosine_similarity": 0.25}
        for layer, of_texts in {"0": [(10.0, 0.0), (10.0, 0.0)], "1": [(12.0, 2.0), (7.0, -3.0)]}.items()
        for rank, change in of_texts
    ]  # fmt: skip
    (row,) = block_scores(pl.DataFrame(rows), 1).rows(named=True)
    assert row == {
        "block": 1, "entropy_change": 0.5, "effective_rank_change": 0.5, "cka_distance": 0.5, "block_influence": 0.75,
    }  # fmt: skip


def test_the_least_score_goes_first() -> None:
    scores = pl.DataFrame(
        {
            "block": [1, 2, 3],
            "entropy_change": [0.3, 0.1, 0.2],
            "effective_rank_change": [1.0, 2.0, 3.0],
            "cka_distance": [0.5, 0.5, 0.1],
            "block_influence": [0.9, 0.8, 0.7],
        }
    )
    assert orders(scores) == {
        "entropy change": (2, 3, 1),
        "eRank change": (1, 2, 3),
        "1 - CKA": (3, 1, 2),
        "block influence": (3, 2, 1),
        "last first": (3, 2, 1),
    }


def test_random_orders_are_ten_different_and_the_same_each_time() -> None:
    found = random_orders(12)
    assert len(set(found)) == 10
    assert all(sorted(order) == list(range(1, 13)) for order in found)
    assert found == random_orders(12)


def test_at_least_one_block_stays() -> None:
    assert counts_for(5, (1, 2, 4, 8)) == (1, 2, 4)
    assert counts_for(4, (1, 2, 4, 8, 3)) == (1, 2, 3)
