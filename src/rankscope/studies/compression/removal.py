"""The added loss when the blocks at the top of each ranking are removed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations

import polars as pl

from rankscope.errors import ConstantMetricError
from rankscope.measuring import Layers
from rankscope.statistics import correlation, holm, paired_difference
from rankscope.studies.compression.pairs import change_of, effective_rank_of, on_common_texts, values_of
from rankscope.studies.compression.rankings import (
    LAST_FIRST,
    ORDERED,
    RANDOM,
    RANKING_METRICS,
    SCORES,
    block_scores,
    counts_for,
    layers_around_blocks,
    orders,
    random_orders,
)
from rankscope.studies.compression.workbench import AS_IT_IS, Question, Workbench, removal

COUNTS = (1, 2, 4, 8)
MOST_ALONE = 40
"""Networks with up to this number of blocks are also measured without each single block."""
JUDGED_METRICS = ("matrix_entropy", "effective_rank", "loss")

Blocks = frozenset[int]


@dataclass(frozen=True)
class Removals:
    """The results of removing blocks.

    Attributes:
        table: One row per ranking and number of removed blocks.
        scores: One row per block: its scores, and the added loss when it alone is removed.
        associations: Spearman's correlation of each score with that added loss.
        comparisons: All pairs of rankings that remove different blocks, for each number of removed blocks.
        removed: Removed blocks by ranking and number; one set per draw for the random ranking.
        losses: Mean loss by set of removed blocks.
    """

    table: pl.DataFrame
    scores: pl.DataFrame
    associations: pl.DataFrame
    comparisons: pl.DataFrame
    removed: Mapping[tuple[str, int], tuple[Blocks, ...]]
    losses: Mapping[Blocks, float]


def remove_blocks(bench: Workbench, extra: int | None = None) -> Removals:
    """Ranks blocks on some texts and measures networks without them on the others.

    Args:
        bench: The network.
        extra: Another number of blocks to remove.
    """
    scores = scores_of(bench)
    counts = counts_for(bench.blocks, (*COUNTS, *([extra] if extra else [])))
    removed = _removed(scores, bench.blocks, counts)
    alone = [frozenset({block}) for block in scores["block"]] if bench.blocks <= MOST_ALONE else []
    wanted = dict.fromkeys([*alone, *(blocks for draws in removed.values() for blocks in draws)])
    question = Question(bench.judged, Layers(), JUDGED_METRICS)
    label = f"{bench.model.reference.label} on {bench.texts.name}"
    bench.progress.say(f"{label}: {len(wanted)} smaller networks on {bench.judged.tokens:,} tokens each")
    bench.progress.start(label, bench.judged.tokens * (len(wanted) + 1))
    before = bench.measured(AS_IT_IS, question)
    return removals_of(
        scores, removed, before, {blocks: bench.measured(removal(blocks), question) for blocks in wanted}
    )


def removals_of(
    scores: pl.DataFrame,
    removed: Mapping[tuple[str, int], tuple[Blocks, ...]],
    before: pl.DataFrame,
    measured: Mapping[Blocks, pl.DataFrame],
) -> Removals:
    """Computes the results of removals from their measurements.

    Args:
        scores: Scores of each block.
        removed: Removed blocks by ranking and number; one set per draw for the random ranking.
        before: Measurements of the whole network.
        measured: Measurements of the network without the given blocks.
    """
    scores = _with_alone(scores, before, {block: measured.get(frozenset({block})) for block in scores["block"]})
    return Removals(
        _table(removed, before, measured),
        scores,
        _associations(scores),
        _comparisons(removed, measured),
        removed,
        {blocks: _mean_loss(table) for blocks, table in {frozenset[int](): before, **measured}.items()},
    )


def scores_of(bench: Workbench) -> pl.DataFrame:
    """The scores of the blocks, on the ranking texts."""
    bench.progress.start(f"{bench.model.reference.label}: ranking blocks", bench.ranking.tokens)
    layers = layers_around_blocks(bench.blocks)
    return block_scores(bench.measured(AS_IT_IS, Question(bench.ranking, layers, RANKING_METRICS)), bench.blocks)


def _removed(scores: pl.DataFrame, blocks: int, counts: Iterable[int]) -> dict[tuple[str, int], tuple[Blocks, ...]]:
    of_rankings, draws = orders(scores), random_orders(blocks)
    found: dict[tuple[str, int], tuple[Blocks, ...]] = {}
    for count in counts:
        for ranking in ORDERED:
            found[ranking, count] = (frozenset(of_rankings[ranking][:count]),)
        found[RANDOM, count] = tuple(frozenset(draw[:count]) for draw in draws)
    return found


def _losses(draws: Iterable[Blocks], measured: Mapping[Blocks, pl.DataFrame]) -> pl.DataFrame:
    """The loss of each text, averaged over draws."""
    tables = [values_of(measured[blocks], "loss") for blocks in draws]
    return pl.concat(tables).group_by("text_id", maintain_order=True).agg(pl.col("value").mean())


def _mean_loss(measured: pl.DataFrame) -> float:
    return float(values_of(measured, "loss")["value"].mean())  # type: ignore[arg-type]


def _table(
    removed: Mapping[tuple[str, int], tuple[Blocks, ...]],
    before: pl.DataFrame,
    measured: Mapping[Blocks, pl.DataFrame],
) -> pl.DataFrame:
    base = values_of(before, "loss")
    rows = []
    for (ranking, count), draws in removed.items():
        one, other = on_common_texts(base, _losses(draws, measured))
        paired = paired_difference(other, one)
        ranks = [effective_rank_of(measured[blocks]) for blocks in draws]
        rows.append(
            {
                "texts": paired.texts,
                "ranking": ranking,
                "removed": count,
                "blocks": listed(draws[0]) if len(draws) == 1 else f"{len(draws)} draws",
                "loss": float(other.mean()),
                "loss_change": paired.difference,
                "loss_change_low": paired.low,
                "loss_change_high": paired.high,
                "effective_rank": sum(ranks) / len(ranks),
            }
        )
    return pl.DataFrame(rows)


def _with_alone(scores: pl.DataFrame, before: pl.DataFrame, alone: Mapping[int, pl.DataFrame | None]) -> pl.DataFrame:
    changes = {block: None if table is None else change_of(before, table, "loss") for block, table in alone.items()}
    columns = {"loss_change": "difference", "loss_change_low": "low", "loss_change_high": "high"}
    return scores.with_columns(
        pl.Series(name, [getattr(changes[block], field, None) for block in scores["block"]], dtype=pl.Float64)
        for name, field in columns.items()
    )


def _associations(scores: pl.DataFrame) -> pl.DataFrame:
    """Spearman's correlations of the scores with the added loss.

    Empty if blocks were not removed alone; the value is null if a score is constant over blocks.
    """
    rows: list[dict[str, object]] = []
    if scores["loss_change"].null_count() == 0 and scores.height >= 3:
        added = scores["loss_change"].to_numpy()
        by_score = {ranking: scores[column].to_numpy() for ranking, column in SCORES.items()}
        for ranking, score in (by_score | {LAST_FIRST: -scores["block"].to_numpy().astype(float)}).items():
            row: dict[str, object] = {"ranking": ranking, "count": scores.height}
            try:
                found = correlation(score, added, "spearman")
            except ConstantMetricError:
                rows.append(row | {"spearman": None, "spearman_low": None, "spearman_high": None})
            else:
                rows.append(row | {"spearman": found.value, "spearman_low": found.low, "spearman_high": found.high})
    numbers = dict.fromkeys(("spearman", "spearman_low", "spearman_high"), pl.Float64)
    return pl.DataFrame(rows, schema={"ranking": pl.String, "count": pl.Int64, **numbers})


def _comparisons(
    removed: Mapping[tuple[str, int], tuple[Blocks, ...]], measured: Mapping[Blocks, pl.DataFrame]
) -> pl.DataFrame:
    """Paired differences between rankings; Holm's correction covers all of them, so the best ranking can be picked."""
    losses = {key: _losses(draws, measured) for key, draws in removed.items()}
    rows = []
    for count in dict.fromkeys(number for _, number in removed):
        for one, other in combinations((*ORDERED, RANDOM), 2):
            if removed[one, count] == removed[other, count]:
                continue
            paired = paired_difference(*on_common_texts(losses[one, count], losses[other, count]))
            rows.append(
                {
                    "removed": count,
                    "ranking": one,
                    "other": other,
                    "loss_difference": paired.difference,
                    "loss_difference_low": paired.low,
                    "loss_difference_high": paired.high,
                    "p": paired.p_value,
                }
            )
    numbers = ("loss_difference", "loss_difference_low", "loss_difference_high", "p")
    schema = {"removed": pl.Int64, "ranking": pl.String, "other": pl.String, **dict.fromkeys(numbers, pl.Float64)}
    table = pl.DataFrame(rows, schema=schema)
    return table.with_columns(p_holm=pl.Series(holm(table["p"].to_list()), dtype=pl.Float64))


def listed(blocks: Iterable[int]) -> str:
    """The block numbers in ascending order, separated by commas."""
    return ", ".join(map(str, sorted(blocks)))
