"""`layers.json`: the study's values for each block and layer, in a stable format for other tools.

It is a list of rows, each with a value for one layer, the id of its formula, and its model and texts. The formulas and
the schema are documented in `docs/compression.md`; a changed formula gets a new id.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import polars as pl

from rankscope.studies.compression.removal import Removals
from rankscope.studies.compression.workbench import Workbench

SCHEMA = 1

FORMULAS = {
    "matrix-entropy-change": "|mean over texts of H(output) - H(input)| of a block, nats",
    "effective-rank-change": "|mean over texts of eRank(output) - eRank(input)| of a block, dimensions",
    "linear-cka-distance": "1 - mean over texts of linear CKA of a block's input and output",
    "block-influence": "1 - mean over texts of the mean cosine of a token's states at a block's input and output",
    "loss-without-block": "mean loss of the network without the block minus that of the whole one, nats per token",
    **{
        f"directions-{share}": f"directions that hold {share} % of the variance of all tokens of unit length, centred"
        for share in (90, 95, 99)
    },
}
"""Formulas by id."""

_OF_BLOCKS = {
    "entropy_change": "matrix-entropy-change",
    "effective_rank_change": "effective-rank-change",
    "cka_distance": "linear-cka-distance",
    "block_influence": "block-influence",
    "loss_change": "loss-without-block",
}


def layer_rows(bench: Workbench, removals: Removals, directions: pl.DataFrame) -> Iterator[dict[str, Any]]:
    """The rows of one model on one data set; for a block, `layer` is its output.

    Losses are from one part of the texts, scores from the other, and directions from both; `texts` is the fingerprint
    of the token ids.
    """
    for row in removals.scores.rows(named=True):
        for column, formula in _OF_BLOCKS.items():
            if row[column] is not None:
                plan = bench.judged if column == "loss_change" else bench.ranking
                yield _row(bench, str(row["block"]), formula, row[column], plan.fingerprint)
    for row in directions.rows(named=True):
        formula = f"directions-{row['share']:.0%}".removesuffix("%")
        yield _row(bench, row["layer"], formula, row["directions"], bench.whole.fingerprint)


def layers_content(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The file's content as JSON."""
    used = dict.fromkeys(row["formula"] for row in rows)
    return {"schema": SCHEMA, "formulas": {formula: FORMULAS[formula] for formula in used}, "rows": rows}


def _row(bench: Workbench, layer: str, formula: str, value: float, texts: str) -> dict[str, Any]:
    return {
        "layer": layer,
        "formula": formula,
        "value": value,
        "model": bench.name,
        "model_fingerprint": bench.model.fingerprint,
        "blocks": bench.blocks,
        "dataset": bench.texts.name,
        "texts": texts,
    }
