"""The rankings that decide which blocks are removed first."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from rankscope.measuring import Layers

DRAWS = 10
"""Number of random orders in the random ranking."""

SCORES = {
    "entropy change": "entropy_change",
    "eRank change": "effective_rank_change",
    "1 - CKA": "cka_distance",
    "block influence": "block_influence",
}
"""Rankings by a score of each block, with the score's column: the lowest score is removed first."""

LAST_FIRST, RANDOM = "last first", "random"
ORDERED = (*SCORES, LAST_FIRST)
"""The rankings that consist of a single order."""

RANKING_METRICS = (
    "matrix_entropy",
    "effective_rank",
    "matrix_entropy_change",
    "linear_cka",
    "mean_cosine_similarity",
)


def layers_around_blocks(blocks: int) -> Layers:
    """The inputs and outputs of all blocks, including the last block's output before the final norm."""
    names = tuple(str(layer) for layer in range(blocks + 1))
    return Layers(names, dict(zip(names[1:], names[:-1], strict=True)))


def block_scores(measured: pl.DataFrame, blocks: int) -> pl.DataFrame:
    """The scores of each block: means over texts.

    The columns are `block`, `entropy_change` (absolute value of the mean change of matrix entropy),
    `effective_rank_change` (same for eRank), `cka_distance` (1 - linear CKA of input and output) and
    `block_influence` (1 - mean cosine).

    Args:
        measured: Measurements of texts at all layers of `layers_around_blocks`.
        blocks: The number of blocks.
    """
    means = measured.group_by("layer").agg(pl.col(*RANKING_METRICS).mean())
    at = {row["layer"]: row for row in means.rows(named=True)}
    return pl.DataFrame(
        [
            {
                "block": block,
                "entropy_change": abs(at[str(block)]["matrix_entropy_change"]),
                "effective_rank_change": abs(at[str(block)]["effective_rank"] - at[str(block - 1)]["effective_rank"]),
                "cka_distance": 1 - at[str(block)]["linear_cka"],
                "block_influence": 1 - at[str(block)]["mean_cosine_similarity"],
            }
            for block in range(1, blocks + 1)
        ]
    )


def orders(scores: pl.DataFrame) -> dict[str, tuple[int, ...]]:
    """The blocks in order of removal, for each ranking in `ORDERED`."""
    found = {ranking: tuple(scores.sort(column, "block")["block"]) for ranking, column in SCORES.items()}
    return found | {LAST_FIRST: tuple(sorted(scores["block"], reverse=True))}


def random_orders(blocks: int) -> list[tuple[int, ...]]:
    """The orders of the random ranking, drawn with a fixed seed."""
    rng = np.random.default_rng(0)
    return [tuple(int(block) + 1 for block in rng.permutation(blocks)) for _ in range(DRAWS)]


def counts_for(blocks: int, counts: Sequence[int]) -> tuple[int, ...]:
    """The counts of removed blocks that leave at least one block."""
    return tuple(sorted({count for count in counts if count < blocks}))
