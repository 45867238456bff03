"""How much metrics vary with the size and seed of the sample of texts.

The texts of the largest sample are measured once. A smaller sample is a subset of these measurements, which gives the
same values as a separate evaluation, without the forward passes.
"""

from __future__ import annotations

import random
from typing import Any

import polars as pl

from rankscope.statistics import summarize
from rankscope.studies.conditions import Cells, Condition, Grid, measure, with_published
from rankscope.studies.published import printed
from rankscope.studies.sentences import at
from rankscope.studies.study import Figure, Findings, Request, Study
from rankscope.tables import said

SHARES = (1, 2, 10)
"""Divisors of the sample size: all texts, half, a tenth; 10,000, 5,000 and 1,000 in the paper."""
SEEDS = 5
_METRICS = ("diff_erank", "effective_rank", "normalized_matrix_entropy", "matrix_nuclear_norm")


GRID = Grid((Condition("sampling"),))


def conduct(request: Request) -> Findings:
    """Evaluates the largest sample, then draws smaller samples from its measurements."""
    measured = measure(request, GRID)
    measurements = measured.runs["sampling"].measurements()
    facts = measured.table.select("model", "family", "parameters").unique()
    rows = [
        row | {"size": size or row["texts"], "seed": seed}
        for _, texts in measurements.group_by("dataset", maintain_order=True)
        for seed, size, sample in _samples(texts)
        for row in summarize(sample)
    ]
    table = pl.DataFrame(rows, infer_schema_length=None).join(facts, on="model", maintain_order="left")
    table = table.sort("dataset", "model", "layer", "size", "seed", descending=[False, False, False, True, False])
    spread = _spread(table)
    return Findings(with_published(table, _published), tuple(_sentences(spread)), measured.notes, {"spread": spread})


def _samples(texts: pl.DataFrame) -> list[tuple[int, int | None, pl.DataFrame]]:
    """Seed, size and measurements of each sample, drawn from the texts on which all networks were measured."""
    skipped = texts.filter(pl.col("status") != "ok").select("text_index").unique()
    groups = texts.select("model", "layer", "role", "seed").n_unique()
    usable = texts.join(skipped, on="text_index", how="anti").group_by("text_index").len()
    places = usable.filter(pl.col("len") == groups)["text_index"].sort().to_list()
    found: list[tuple[int, int | None, pl.DataFrame]] = [(0, None, texts)]
    for share in SHARES[1:]:
        size = len(places) // share
        for seed in range(SEEDS if size >= 2 else 0):
            chosen = random.Random(seed).sample(places, size)  # noqa: S311 (a sample, not a secret)
            found.append((seed, size, texts.filter(pl.col("text_index").is_in(chosen))))
    return found


def _spread(table: pl.DataFrame) -> pl.DataFrame:
    """For each size with several samples, the standard deviation over samples and the one implied by intervals."""
    metrics = [name for name in _METRICS if name in table.columns and table[name].null_count() == 0]
    group = table.group_by("dataset", "model", "layer", "size", maintain_order=True)
    spread = [pl.col(name).std().alias(f"{name}_sd") for name in metrics]
    expected = [
        ((pl.col(f"{name}_high") - pl.col(f"{name}_low")) / (2 * 1.96)).mean().alias(f"{name}_sd_by_bootstrap")
        for name in metrics
        if f"{name}_low" in table.columns
    ]
    return group.agg(pl.len().alias("samples"), *spread, *expected).filter(pl.col("samples") > 1)


def _published(row: dict[str, Any]) -> Cells:
    if row["dataset"] != "wikipedia" or row["size"] != 10_000:
        return {}
    return {
        "diff_erank": printed("diff_erank.table6", row["model"], "wikipedia", "diff_erank"),
        "matrix_nuclear_norm": printed("mnn.table10", row["model"], "wikipedia", "matrix_nuclear_norm"),
    }


def _sentences(spread: pl.DataFrame) -> list[str]:
    found = []
    for row in spread.rows(named=True):
        metric = "diff_erank" if "diff_erank_sd" in row else "effective_rank"
        if row.get(f"{metric}_sd") is not None:
            bootstrap = row.get(f"{metric}_sd_by_bootstrap")
            compared = "" if bootstrap is None else f"; the bootstrap of one sample gives {bootstrap:.3f}"
            found.append(
                f"{row['model']} on {row['dataset']}{at(row['layer'])}, {row['size']:,} texts: {said(metric)} has a "
                f"standard deviation of {row[f'{metric}_sd']:.3f} over {row['samples']} samples{compared}."
            )
    found.append(
        "Samples are drawn from the largest one and overlap, more so for larger samples: at half its size, their "
        "spread understates that of independent samples by a factor of about 1.4."
    )
    return found


STUDY = Study(
    name="sampling",
    question="How much do the metrics vary with the size and seed of the sample of texts?",
    source="Diff-eRank, table 11; Matrix Nuclear-Norm, table 5",
    models=("facebook/opt-1.3b", "cerebras/Cerebras-GPT-1.3B"),
    data=("wikipedia",),
    columns=(
        "dataset",
        "model",
        "size",
        "seed",
        "diff_erank",
        "effective_rank",
        "normalized_matrix_entropy",
        "matrix_nuclear_norm",
    ),
    figure=Figure(x="size", metrics=_METRICS, series="model", log_x=True, panels_by="dataset", is_ordered=False),
    conduct=conduct,
    grids=lambda _: (GRID,),
    decides=("sample_seed",),
    published=("diff_erank.table11", "mnn.table5"),
)
