"""Single texts: the spread of their effective ranks, and their growth with length."""

from __future__ import annotations

import numpy as np
import polars as pl

from rankscope.metrics import noise_value
from rankscope.reports.charts.figure import (
    ROWS,
    Figure,
    colour_of_models,
    colour_of_roles,
    counted,
    figure,
    inline,
    spread,
)
from rankscope.tables import titled

_TEXTS_OF_A_MODEL = 300  # points in a scatter plot; more would overlap


def distribution(measurements: pl.DataFrame) -> Figure:
    """One box per model and role: the median, the middle half and the middle 90 % of the texts.

    Args:
        measurements: rows of `Run.measurements()` for one data set and one layer.
    """
    import altair as alt

    rows = _usable(measurements)
    ranks = pl.col("effective_rank")
    quantiles = {"q05": 0.05, "q25": 0.25, "median": 0.5, "q75": 0.75, "q95": 0.95}
    boxes = rows.group_by("model", "role", maintain_order=True).agg(
        **{name: ranks.quantile(share, "linear") for name, share in quantiles.items()}, texts=pl.len()
    )
    y = alt.Y("model:N", sort=rows["model"].unique(maintain_order=True).to_list(), title=None, axis=ROWS)
    offset = alt.YOffset("role:N", sort=["trained", "untrained"])
    base = alt.Chart(inline(boxes)).encode(y=y, yOffset=offset, color=colour_of_roles())
    title = "effective rank of a text (dimensions)"
    whisker = base.mark_rule(strokeWidth=1.5).encode(
        x=alt.X("q05:Q", title=title, scale=alt.Scale(zero=False)), x2="q95:Q"
    )
    box = base.mark_bar(size=9, opacity=0.55).encode(x="q25:Q", x2="q75:Q")
    middle = base.mark_tick(thickness=2.5, size=13, opacity=1).encode(
        x="median:Q", tooltip=["model:N", "role:N", *(f"{name}:Q" for name in quantiles), "texts:Q"]
    )
    chart = (whisker + box + middle).properties(height=18 * boxes.height + 8)
    caption = (
        f"Spread over texts at layer {rows['layer'][0]}: median, interquartile range, and 5th to 95th percentile; "
        f"{counted(boxes['texts'], 'texts')}{_seeds(rows)}."
    )
    return figure("distribution", "Effective rank over texts", caption, chart)


def rank_against_length(measurements: pl.DataFrame) -> Figure:
    """Effective rank of trained models against the number of tokens: texts as points, noise of their shapes as lines.

    Args:
        measurements: rows of `Run.measurements()` for one data set and one layer.
    """
    import altair as alt

    rows = _usable(measurements).filter((pl.col("role") == "trained") & (pl.col("n_tokens") >= 3))
    of_model = pl.int_range(pl.len()).over("model")
    step = (pl.len().over("model") / _TEXTS_OF_A_MODEL).ceil().cast(pl.Int64)
    points = rows.filter(of_model % step == 0).select("model", "text_id", "n_tokens", "effective_rank")
    colour = colour_of_models(rows["model"].to_list())
    x = alt.X(
        "n_tokens:Q",
        scale=alt.Scale(type="log", nice=False, padding=8),
        title="tokens of the text",
        axis=alt.Axis(tickCount=6),
    )
    y = alt.Y(
        "effective_rank:Q",
        scale=alt.Scale(type="log", nice=False, padding=8),
        title=titled("effective_rank", spelled_out=True),
        axis=alt.Axis(tickCount=6),
    )
    dots = (
        alt.Chart(inline(points))
        .mark_point(size=18, opacity=0.55)
        .encode(x=x, y=y, color=colour, tooltip=["model:N", "text_id:N", "n_tokens:Q", "effective_rank:Q"])
    )
    lines = (
        alt.Chart(inline(_noise_of_lengths(rows)))
        .mark_line(strokeWidth=1.2, strokeDash=[2, 2])
        .encode(x=x, y=y, color=colour)
    )
    used = rows.group_by("model").len()["len"]
    drawn = points.group_by("model").len()["len"]
    some = "" if used.sum() == drawn.sum() else f" ({spread(drawn)} of them shown)"
    caption = (
        f"Each point is a text at layer {rows['layer'][0]} of the trained model; "
        f"dotted, isotropic noise with the same number of tokens. {counted(used, 'texts')} per model{some}."
    )
    return figure("rank_against_length", "Effective rank against length", caption, lines + dots)


def _usable(measurements: pl.DataFrame) -> pl.DataFrame:
    """Rows that have an effective rank."""
    return measurements.filter((pl.col("status") == "ok") & pl.col("effective_rank").is_not_null())


def _seeds(rows: pl.DataFrame) -> str:
    seeds = rows["seed"].n_unique() - rows["seed"].is_null().any()
    return f", times {seeds} seeds if untrained" if seeds > 1 else ""


def _noise_of_lengths(rows: pl.DataFrame) -> pl.DataFrame:
    """Effective rank of noise at 24 lengths or fewer, from the shortest to the longest text of each model."""
    ranges = rows.group_by("model", "hidden_size", maintain_order=True).agg(
        low=pl.col("n_tokens").min(), high=pl.col("n_tokens").max()
    )
    found = [
        (model, tokens, noise_value("effective_rank", tokens, size))
        for model, size, low, high in ranges.rows()
        for tokens in sorted({round(float(one)) for one in np.geomspace(low, high, 24)})
        if size >= 2
    ]
    schema = {"model": pl.String, "n_tokens": pl.Int64, "effective_rank": pl.Float64}
    return pl.DataFrame(found, schema=schema, orient="row")
