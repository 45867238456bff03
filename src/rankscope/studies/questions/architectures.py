"""Architectures side by side along their training: do loss and spectra move together, and what was there untrained?"""

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
"""Untrained twins of each architecture."""
MOST_APART = 0.03
"""Parameters of the largest model over those of the smallest, less one, that still count as the same."""
_BITS = "bits_per_character"
_PART = ("dataset", "layer")
_UNTRAINED = " (untrained)"


def conduct(request: Request) -> Findings:
    """One evaluation of all checkpoints, and of three untrained twins of each architecture, which are its step 0."""
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
    sentences += [f"Unfinished checkpoints were left out: {'; '.join(left_out)}."] if left_out else []
    return Findings(table, tuple(sentences), measured.notes, more, replace(STUDY.figure, x=loss))


def _trainings(request: Request) -> list[Training]:
    """The trainings that are compared.

    Raises:
        SettingsError: fewer than two.
    """
    trainings = trainings_of(request.models, trust_remote_code=request.settings.trust_remote_code)
    if len(trainings) < 2:
        raise SettingsError(f"architectures compares models, got {', '.join(request.models)}: give two or more")
    return trainings


def _grid(trainings: Sequence[Training]) -> Grid:
    models = tuple(one.model for training in trainings for one in training.checkpoints)
    return Grid((Condition("architectures", {"untrained_seeds": SEEDS}),), models)


def _twins(trainings: Sequence[Training], run: Run) -> pl.DataFrame:
    """A row for each architecture, seed, data set and layer: an untrained network."""
    measurements = run.measurements(ratios=False)
    rows = [
        row | {"architecture": training.architecture}
        for training in trainings
        for row in twin_summaries(measurements.filter(model=training.last.model))
    ]
    return pl.DataFrame(rows, infer_schema_length=None)


def _table(trainings: Sequence[Training], measured: pl.DataFrame, twins: pl.DataFrame) -> pl.DataFrame:
    """A row for each architecture, step, data set and layer, with the mean over twins at step 0."""
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
"""Endings of what has no mean over twins."""


def _with_bits(table: pl.DataFrame, run: Run, data: Sequence[str], settings: Settings) -> pl.DataFrame:
    """Adds the loss in bits per character; nothing for a conversation, whose template adds what no text has."""
    sets = () if settings.chat else load_text_sets(data, settings)
    characters = {(one.name, text.id): len(text.text) for one in sets for text in one.texts}
    bits = bits_per_character(run.measurements(ratios=False), characters)
    values = []
    for row in table.rows(named=True):
        model = row["model"].removesuffix(_UNTRAINED)
        values.append(bits.get((row["dataset"], model, "trained" if model == row["model"] else "untrained")))
    return table.with_columns(pl.Series(_BITS, values, dtype=pl.Float64))


def _not_alike(table: pl.DataFrame, loss: str) -> Iterator[str]:
    """What else differs between the models than their architecture."""
    of_each = {row["architecture"]: row for row in table.rows(named=True)}.values()
    parameters = [row["parameters"] for row in of_each]
    if max(parameters) > (1 + MOST_APART) * min(parameters):
        yield (
            f"Parameters differ by {max(parameters) / min(parameters) - 1:.0%} ({min(parameters):,} to "
            f"{max(parameters):,}): what differs between architectures may come from size."
        )
    sizes = sorted({row["hidden_size"] for row in of_each})
    if len(sizes) > 1:
        yield (
            f"Hidden sizes differ ({', '.join(f'{size:,}' for size in sizes)}), and eRank can be no larger than the "
            "hidden size: compare H/ln d."
        )
    if loss == _BITS:
        told = "losses are compared in bits per character, over texts that all models read to their end"
        if table[_BITS].null_count():
            told = "losses are not compared, as no plain text was read to its end by all models"
        yield f"Tokenizers differ, so losses per token do not compare: {told}."


def _sentences(rows: pl.DataFrame, loss: str, found: pl.DataFrame, shares: pl.DataFrame) -> Iterator[str]:
    """What came out for one data set and layer."""
    spearman = found.filter(pl.col("method") == "spearman")
    for where, among in ((ALL, "from step 0 on"), (TRAINED, "trained checkpoints only")):
        of_all = spearman.filter(where=where)
        if of_all.height:
            yield (
                f"Within trainings ({among}, {of_all['points'][0]} points, architecture held fixed) Spearman's "
                f"correlation with {said(loss)} is {_listed(of_all)}."
            )
    places = [where for where, _ in across(rows)]
    for where in places:
        between = spearman.filter(where=where)
        if between.height:
            yield f"Across {between['points'][0]} architectures at {where} it is {_listed(between)}."
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
    """Whether eRank goes with the loss: inside trainings, and across architectures at their end.

    Points of one training are not independent, so beside the interval of all every training has to agree.
    """
    inside, between = (_direction(spearman.filter(where=where)) for where in (TRAINED, last))
    alone = spearman.filter(pl.col("where").str.ends_with(ALONE), pl.col("metric") == "effective_rank")["value"]
    agree = int((alone * inside > 0).sum())
    inside = inside if agree == len(alone) else 0
    counted = f" (so in {agree} of {len(alone)} alone)" if inside and len(alone) else ""
    told = (
        f"Inside trainings, once begun, eRank {_GOES[inside]}{counted}; across architectures at {last} it "
        f"{_GOES[between]}"
    )
    if inside and between and inside != between:
        return f"{told}: the direction inside is not the one between."
    if inside and not between:
        return f"{told}. It follows the course of a training, and is not shown to rank architectures."
    return f"{told}."


_GOES = {1: "rises with the loss", -1: "rises as the loss falls", 0: "is not shown to go with the loss"}


def _direction(found: pl.DataFrame) -> int:
    """The sign of eRank's correlation; 0 where there is none, or its interval holds zero.

    Five points or more in perfect order have no interval on Fisher's scale; by chance it happens twice in 120 times.
    """
    for row in found.filter(pl.col("metric") == "effective_rank").rows(named=True):
        is_perfect = abs(row["value"]) == 1 and row["points"] >= FEWEST_FOR_INTERVAL
        if is_perfect or (row["low"] is not None and not row["low"] <= 0 <= row["high"]):
            return 1 if row["value"] > 0 else -1
    return 0


def _of_initialisation(shares: pl.DataFrame, places: Sequence[str]) -> Iterator[str]:
    """What of the differences between architectures was there before training; the last place stands for the end."""
    known = shares.drop_nulls("explained")
    of_rank, of_difference = (known.filter(metric=name) for name in ("effective_rank", "diff_erank"))
    if of_rank.is_empty():
        return
    first = of_rank.row(0, named=True)
    seeds = "" if first["seed_deviation"] is None else f" and {first['seed_deviation']:.2f} between seeds of one"
    trained = [f"{row['trained_deviation']:.2f} at {row['where']}" for row in of_rank.rows(named=True)]
    explained = [f"{_percent(row)} at {row['where']} (r = {row['pearson']:+.2f})" for row in of_rank.rows(named=True)]
    yield (
        f"Untrained, eRank has a standard deviation of {first['untrained_deviation']:.2f} between "
        f"architectures{seeds}; trained, {', '.join(trained)}. Of the variance between the trained ones the untrained "
        f"eRank explains {', '.join(explained)}."
    )
    for row in of_difference.filter(where=places[-1]).rows(named=True):
        yield (
            f"Of the variance of Diff-eRank between architectures at {row['where']} the untrained eRank explains "
            f"{_percent(row)}."
        )


def _percent(row: dict[str, Any]) -> str:
    if row["explained_low"] is None:
        return f"{row['explained']:.0%}"
    return f"{row['explained']:.0%} ({row['explained_low']:.0%} to {row['explained_high']:.0%})"


STUDY = Study(
    name="architectures",
    question=(
        "With data, tokenizer, steps and parameters equal, do loss and spectra move together across architectures, and "
        "what of it is there before training?"
    ),
    source="a question of rankscope's own",
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
