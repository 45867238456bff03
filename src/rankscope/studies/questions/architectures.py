"""Architectures in training: whether loss and spectra move together, and how much exists before training."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import polars as pl

from rankscope.errors import SettingsError
from rankscope.runs import Run, load_text_sets
from rankscope.settings import Settings
from rankscope.statistics import FEWEST_FOR_INTERVAL
from rankscope.studies.characters import bits_per_character
from rankscope.studies.concord import ALL, ALONE, METRICS, TRAINED, across, correlations_with_loss, initialisation
from rankscope.studies.conditions import Condition, Grid, measure
from rankscope.studies.sentences import at
from rankscope.studies.study import Figure, Findings, Request, Study
from rankscope.studies.trainings import Training, trainings_of, twin_summaries, unfinished_of
from rankscope.tables import said

SEEDS = 3
"""Number of untrained twins per architecture."""
MOST_APART = 0.03
"""Parameter counts that differ by no more than this share count as equal."""
_BITS = "bits_per_character"
_PART = ("dataset", "layer")
_UNTRAINED = " (untrained)"


def conduct(request: Request) -> Findings:
    """One evaluation of all checkpoints and of three untrained twins per architecture, which are its step 0."""
    left_out = [f"{model}: {reason}" for model in request.models for reason in unfinished_of(model)]
    trainings = _trainings(request)
    measured = measure(request, _grid(trainings))
    run = measured.runs["architectures"]
    twins = _twins(trainings, run)
    table, loss = _table(trainings, measured.table, twins), "loss"
    if len({training.description.parts.tokenizer for training in trainings}) > 1:
        table, loss = _with_bits(table, run, request.data, request.settings), _BITS
    correlations, shares, sentences = [], [], []
    for (dataset, layer), rows in table.group_by(_PART, maintain_order=True):
        found = correlations_with_loss(rows, loss)
        share = initialisation(rows, twins.filter(dataset=dataset, layer=layer))
        sentences += [f"{dataset}{at(str(layer))}: {text}" for text in _sentences(rows, loss, found, share)]
        correlations.append(found.select(pl.lit(dataset).alias("dataset"), pl.lit(layer).alias("layer"), pl.all()))
        shares.append(share.select(pl.lit(dataset).alias("dataset"), pl.lit(layer).alias("layer"), pl.all()))
    more = {"correlations": pl.concat(correlations), "initialisation": pl.concat(shares)}
    sentences += _not_alike(table, loss)
    sentences += [f"Unfinished checkpoints were skipped: {'; '.join(left_out)}."] if left_out else []
    return Findings(table, tuple(sentences), measured.notes, more, replace(STUDY.figure, x=loss))


def _trainings(request: Request) -> list[Training]:
    """The trainings to compare.

    Raises:
        SettingsError: there are fewer than two.
    """
    trainings = trainings_of(request.models, trust_remote_code=request.settings.trust_remote_code)
    if len(trainings) < 2:
        raise SettingsError(f"architectures needs at least two trainings to compare, got {', '.join(request.models)}")
    return trainings


def _grid(trainings: Sequence[Training]) -> Grid:
    models = tuple(one.model for training in trainings for one in training.checkpoints)
    return Grid((Condition("architectures", {"untrained_seeds": SEEDS}),), models)


def _twins(trainings: Sequence[Training], run: Run) -> pl.DataFrame:
    """Summary rows of the untrained networks, by architecture, seed, data set and layer."""
    measurements = run.measurements(ratios=False)
    rows = [
        row | {"architecture": training.architecture}
        for training in trainings
        for row in twin_summaries(measurements.filter(model=training.last.model))
    ]
    return pl.DataFrame(rows, infer_schema_length=None)


def _table(trainings: Sequence[Training], measured: pl.DataFrame, twins: pl.DataFrame) -> pl.DataFrame:
    """One row per architecture, step, data set and layer; step 0 is the mean over twins."""
    steps = pl.DataFrame(
        [
            {"model": one.model, "architecture": training.architecture, "step": one.step, "place": place}
            for training in trainings
            for place, one in enumerate(training.checkpoints, 1)
        ],
        schema={"model": pl.String, "architecture": pl.String, "step": pl.Int64, "place": pl.Int64},
    )
    trained = measured.join(steps, on="model", how="left", maintain_order="left")
    facts = trained.group_by("architecture", maintain_order=True).agg(pl.col("family", "parameters").first())
    numbers = [name for name, kind in twins.schema.items() if kind.is_numeric() and not name.endswith(_OF_ONE_TWIN)]
    means = twins.group_by("architecture", "model", *_PART, maintain_order=True).agg(pl.col(numbers).mean())
    untrained = means.join(facts, on="architecture", maintain_order="left").with_columns(
        pl.col("model") + _UNTRAINED,
        pl.col("texts", "tokens", "hidden_size").cast(pl.Int64),
        step=pl.lit(0, pl.Int64),
        place=pl.lit(0, pl.Int64),
    )
    shared = [name for name in trained.columns if name in untrained.columns]
    rows = pl.concat([trained, untrained.select(shared)], how="diagonal_relaxed")
    order = {training.architecture: place for place, training in enumerate(trainings)}
    places = pl.col("architecture").replace_strict(order, return_dtype=pl.Int64)
    return rows.sort(*_PART, places, "place", maintain_order=True).drop("place")


_OF_ONE_TWIN = ("_low", "_high", "seed")
"""Suffixes of columns that are not averaged over twins."""


def _with_bits(table: pl.DataFrame, run: Run, data: Sequence[str], settings: Settings) -> pl.DataFrame:
    """Adds the loss in bits per character; null for conversations, whose template adds text."""
    sets = () if settings.chat else load_text_sets(data, settings)
    characters = {(one.name, text.id): len(text.text) for one in sets for text in one.texts}
    bits = bits_per_character(run.measurements(ratios=False), characters)
    values = []
    for row in table.rows(named=True):
        model = row["model"].removesuffix(_UNTRAINED)
        values.append(bits.get((row["dataset"], model, "trained" if model == row["model"] else "untrained")))
    return table.with_columns(pl.Series(_BITS, values, dtype=pl.Float64))


def _not_alike(table: pl.DataFrame, loss: str) -> Iterator[str]:
    """Sentences on differences between the models other than their architecture."""
    of_each = {row["architecture"]: row for row in table.rows(named=True)}.values()
    parameters = [row["parameters"] for row in of_each]
    if max(parameters) > (1 + MOST_APART) * min(parameters):
        yield (
            f"Parameters differ by {max(parameters) / min(parameters) - 1:.0%} ({min(parameters):,} to "
            f"{max(parameters):,}): differences between architectures may be due to size."
        )
    sizes = sorted({row["hidden_size"] for row in of_each})
    if len(sizes) > 1:
        yield (
            f"Hidden sizes differ ({', '.join(f'{size:,}' for size in sizes)}), and eRank cannot exceed the hidden "
            "size: compare H/ln d."
        )
    if loss == _BITS:
        told = "losses are compared in bits per character, over texts that all models read to the end"
        if table[_BITS].null_count():
            told = "losses are not compared, because no plain text was read to the end by all models"
        yield f"Tokenizers differ, so losses per token are not comparable: {told}."


def _sentences(rows: pl.DataFrame, loss: str, found: pl.DataFrame, shares: pl.DataFrame) -> Iterator[str]:
    """Sentences for one data set and layer."""
    spearman = found.filter(pl.col("method") == "spearman")
    for where, among in ((ALL, "including step 0"), (TRAINED, "trained checkpoints only")):
        of_all = spearman.filter(where=where)
        if of_all.height:
            yield (
                f"Within trainings ({among}, {of_all['points'][0]} points, architecture held fixed), Spearman's "
                f"correlation with {said(loss)} is {_listed(of_all)}."
            )
    places = [where for where, _ in across(rows)]
    for where in places:
        between = spearman.filter(where=where)
        if between.height:
            yield f"Across {between['points'][0]} architectures at {where}, it is {_listed(between)}."
    if places:
        yield _verdict(spearman, places[-1])
    yield from _of_initialisation(shares, places)


def _listed(found: pl.DataFrame) -> str:
    return ", ".join(
        f"{said(row['metric'])} {row['value']:+.2f}"
        + (f" ({row['low']:+.2f} to {row['high']:+.2f})" if row["low"] is not None else " (no interval)")
        for row in found.rows(named=True)
    )


def _verdict(spearman: pl.DataFrame, last: str) -> str:
    """A sentence on the correlation of eRank and loss within trainings, and across architectures at the last place.

    The points of one training are not independent, so a clear interval is not enough: all trainings must agree.
    """
    inside, between = (_direction(spearman.filter(where=where)) for where in (TRAINED, last))
    alone = spearman.filter(pl.col("where").str.ends_with(ALONE), pl.col("metric") == "effective_rank")["value"]
    agree = int((alone * inside > 0).sum())
    inside = inside if agree == len(alone) else 0
    counted = f" (in {agree} of {len(alone)} separately)" if inside and len(alone) else ""
    told = (
        f"Within trainings, after step 0, eRank {_GOES[inside]}{counted}; across architectures at {last}, it "
        f"{_GOES[between]}"
    )
    if inside and between and inside != between:
        return f"{told}: the two directions are opposite."
    if inside and not between:
        return f"{told}. It follows the progress of a training, but is not shown to rank architectures."
    return f"{told}."


_GOES = {1: "rises with the loss", -1: "rises as the loss falls", 0: "shows no relation with the loss"}


def _direction(found: pl.DataFrame) -> int:
    """The sign of eRank's correlation; 0 if it is undefined or its interval contains zero.

    A perfect correlation has no interval on Fisher's scale. With five points or more, it counts as clear: by chance,
    five points are in perfect order 2 times in 120.
    """
    for row in found.filter(pl.col("metric") == "effective_rank").rows(named=True):
        is_perfect = abs(row["value"]) == 1 and row["points"] >= FEWEST_FOR_INTERVAL
        if is_perfect or (row["low"] is not None and not row["low"] <= 0 <= row["high"]):
            return 1 if row["value"] > 0 else -1
    return 0


def _of_initialisation(shares: pl.DataFrame, places: Sequence[str]) -> Iterator[str]:
    """Sentences on the differences between architectures before training; the last place is the end of training."""
    known = shares.drop_nulls("explained")
    of_rank, of_difference = (known.filter(metric=name) for name in ("effective_rank", "diff_erank"))
    if of_rank.is_empty():
        return
    first = of_rank.row(0, named=True)
    spread = first["seed_deviation"]
    seeds = "" if spread is None else f" and {spread:.2f} between seeds of one architecture"
    trained = [f"{row['trained_deviation']:.2f} at {row['where']}" for row in of_rank.rows(named=True)]
    explained = [f"{_percent(row)} at {row['where']} (r = {row['pearson']:+.2f})" for row in of_rank.rows(named=True)]
    yield (
        f"Untrained, eRank has a standard deviation of {first['untrained_deviation']:.2f} between "
        f"architectures{seeds}; trained, {', '.join(trained)}. The untrained eRank explains this much of the variance "
        f"between trained architectures: {', '.join(explained)}."
    )
    for row in of_difference.filter(where=places[-1]).rows(named=True):
        yield (
            f"The untrained eRank explains {_percent(row)} of the variance of Diff-eRank between architectures at "
            f"{row['where']}."
        )


def _percent(row: dict[str, Any]) -> str:
    if row["explained_low"] is None:
        return f"{row['explained']:.0%}"
    return f"{row['explained']:.0%} ({row['explained_low']:.0%} to {row['explained_high']:.0%})"


STUDY = Study(
    name="architectures",
    question=(
        "With the same data, tokenizer, steps and parameters, do loss and spectra move together across architectures, "
        "and how much of this exists before training?"
    ),
    source="not from a paper",
    models=("family:pico-architectures",),
    data=("stdlib-docs",),
    columns=(
        "dataset",
        "architecture",
        "step",
        "parameters",
        "texts",
        _BITS,
        "loss",
        "effective_rank",
        "diff_erank",
        "normalized_matrix_entropy",
        "matrix_nuclear_norm",
    ),
    figure=Figure(x="loss", metrics=METRICS, series="architecture", order="step"),
    conduct=conduct,
    grids=lambda request: (_grid(_trainings(request)),),
    decides=("untrained_seeds", "untrained_from"),
)
