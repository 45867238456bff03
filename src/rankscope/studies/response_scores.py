"""Scores of single responses, their prediction from length alone, and rankings with length held fixed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import reduce

import polars as pl

from rankscope.runs import Run
from rankscope.statistics import HeldRanking, adjusted_means, fewest_models, from_length, rankings_at_length
from rankscope.studies.sentences import at
from rankscope.tables import said
from rankscope.texts import TextSet

METRICS = ("matrix_nuclear_norm", "normalized_matrix_entropy", "effective_rank", "loss")
_KEYS = ("judge", "responder", "prompt", "layer", "status", "reason", "tokens", "characters")
_GROUP = ("judge", "layer")
_FEWEST_LENGTHS = 4  # one more than a parabola has coefficients


def response_scores(run: Run, judge: str, responders: Mapping[str, str], texts: Mapping[str, TextSet]) -> pl.DataFrame:
    """One row per response and layer.

    Args:
        run: The judge's run.
        judge: The judge's name in the table.
        responders: The responder of each of the run's data sets, by name.
        texts: The responses of each responder.

    Returns:
        `judge`, `responder`, `prompt` (its id), `layer`, `status`, `reason` if it could not be measured, `tokens`
        as read by the judge, `characters` of the whole response, and the measured metrics.
    """
    rows = run.measurements(ratios=False).filter(pl.col("role") == "trained").rename({"text_id": "prompt"})
    rows = rows.rename({"n_tokens": "tokens"}).with_columns(
        pl.col("dataset").replace_strict(responders, return_dtype=pl.String).alias("responder"), judge=pl.lit(judge)
    )
    lengths = pl.DataFrame(
        [(name, text.id, len(text.text)) for name, of_one in texts.items() for text in of_one.texts],
        schema={"responder": pl.String, "prompt": pl.String, "characters": pl.Int64},
        orient="row",
    )
    rows = rows.join(lengths, on=["responder", "prompt"], how="left", maintain_order="left")
    return rows.select(*_KEYS, *(name for name in METRICS if rows[name].null_count() < rows.height))


def with_length_alone(scores: pl.DataFrame) -> tuple[pl.DataFrame, list[str]]:
    """Adds `<metric>_from_length`, predicted for each judge and layer, with sentences on its share of the variance."""
    parts: list[pl.DataFrame] = []
    sentences: list[str] = []
    for (judge, layer), group in scores.group_by(*_GROUP, maintain_order=True):
        columns, shares = [], []
        for metric in _measured(scores):
            known = group.filter(pl.col("status") == "ok").drop_nulls(metric)
            if known["tokens"].n_unique() < _FEWEST_LENGTHS:
                continue
            expected = from_length(known[metric].to_numpy(), known["tokens"].to_numpy())
            columns.append(known.select("responder", "prompt", pl.Series(f"{metric}_from_length", expected)))
            if (variance := float(known[metric].to_numpy().var())) > 0:
                shares.append(f"{said(metric)} {float(expected.var()) / variance:.0%}")
        parts.append(reduce(_joined, columns, group))
        if shares:
            sentences.append(
                f"Judged by {judge}{at(str(layer))}: length alone explains this share of the variance over single "
                f"responses: {', '.join(shares)}."
            )
    return pl.concat(parts, how="diagonal"), sentences


def _joined(scores: pl.DataFrame, column: pl.DataFrame) -> pl.DataFrame:
    return scores.join(column, on=["responder", "prompt"], how="left", maintain_order="left")


def ranked_at_length(scores: pl.DataFrame, places: Mapping[str, float]) -> tuple[pl.DataFrame, list[str]]:
    """Finds, for each judge and layer, the metrics that still rank the responders at fixed length (`HeldRanking`).

    Args:
        scores: The result of `response_scores`; only prompts with a measured response of every responder are used.
        places: The leaderboard's numbers; other responders are omitted.
    """
    rows: list[dict[str, object]] = []
    sentences: list[str] = []
    known = scores.filter(pl.col("responder").is_in(list(places)))
    for (judge, layer), group in known.group_by(*_GROUP, maintain_order=True):
        found = _rankings(group, places)
        rows += [{"judge": judge, "layer": layer} | asdict(one) | {"still_ranks": one.still_ranks} for one in found]
        sentences += [f"Judged by {judge}{at(str(layer))}: {text}" for text in _sentences(found)]
    return pl.DataFrame(rows, schema=_SCHEMA), sentences


def _rankings(scores: pl.DataFrame, places: Mapping[str, float]) -> list[HeldRanking]:
    responders = scores["responder"].unique(maintain_order=True).to_list()
    metrics = _measured(scores)
    usable = scores.filter(pl.col("status") == "ok").drop_nulls(metrics)
    complete = usable.group_by("prompt").len().filter(pl.col("len") == len(responders))
    usable = usable.join(complete, on="prompt", how="semi")
    if len(responders) < 2 or complete.height < 2:
        return []

    def table(column: str) -> pl.DataFrame:
        return usable.pivot("responder", index="prompt", values=column).select(responders)

    tokens = table("tokens").to_numpy()
    values = {metric: table(metric).to_numpy() for metric in metrics}
    return rankings_at_length(
        {metric: one.mean(axis=0) for metric, one in values.items()},
        {metric: adjusted_means(one, tokens) for metric, one in values.items()},
        table("characters").to_numpy().mean(axis=0),
        pl.Series([places[one] for one in responders]).to_numpy(),
    )


def _sentences(found: Sequence[HeldRanking]) -> Iterator[str]:
    fewest = fewest_models(1)
    if not found or found[0].responders < fewest:
        yield f"a ranking with length held fixed needs at least {fewest} responders on the leaderboard."
        return
    still = [said(one.metric) for one in found if one.still_ranks]
    yield (
        f"with length held fixed, Spearman's correlation with the leaderboard over {found[0].responders} responders is "
        f"{', '.join(map(_told, found))}; intervals by Holm's procedure over all metrics. Metrics that still rank the "
        f"responders: {', '.join(still) or 'none'}."
    )


def _told(one: HeldRanking) -> str:
    if one.spearman is None:
        return f"{said(one.metric)} undefined (length alone explains it)"
    interval = "" if one.low is None else f" ({one.low:+.2f} to {one.high:+.2f})"
    return f"{said(one.metric)} {one.spearman:+.2f}{interval}"


def _measured(scores: pl.DataFrame) -> list[str]:
    return [name for name in METRICS if name in scores.columns]


_SCHEMA = {
    "judge": pl.String,
    "layer": pl.String,
    "metric": pl.String,
    "plain": pl.Float64,
    "spearman": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "p_value": pl.Float64,
    "responders": pl.Int64,
    "still_ranks": pl.Boolean,
}
