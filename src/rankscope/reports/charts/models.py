"""Comparisons of models: a metric against size or loss, and differences from the first model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import polars as pl

from rankscope.metrics import table
from rankscope.reports.charts.figure import ROWS, Figure, colour_of_models, counted, figure, inline, spread
from rankscope.tables import term, titled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rankscope.runs import Difference

_LABELLED = 12  # with more models, labels would overlap
_ALL_METRICS = 8  # with more models, only effective rank and loss are drawn


def rank_against(summary: pl.DataFrame, against: Literal["hidden_size", "loss"], metric: str = "diff_erank") -> Figure:
    """One point per model: a metric with its interval against hidden size or loss.

    Args:
        summary: rows of one data set and one layer.
        against: the horizontal axis.
        metric: the vertical axis.
    """
    import altair as alt

    interval = [name for name in (f"{metric}_low", f"{metric}_high") if name in summary.columns]
    keep = ["model", against, metric, *interval]
    rows = summary.select(keep).drop_nulls([against, metric])
    names = rows["model"].to_list()
    colour = colour_of_models(names, legend=len(names) > _LABELLED)
    if against == "loss":
        scale, axis = alt.Scale(zero=False, nice=False, padding=50), alt.Axis(tickCount=6)
    else:
        scale, axis = alt.Scale(type="log", nice=False, padding=50), alt.Axis(values=sorted(set(rows[against])))
    title_of_x = titled(against, scale="" if against == "loss" else "logarithmic")
    base = alt.Chart(inline(rows)).encode(
        x=alt.X(f"{against}:Q", title=title_of_x, scale=scale, axis=axis),
        y=alt.Y(f"{metric}:Q", title=titled(metric), scale=alt.Scale(zero=False, padding=16)),
        color=colour,
    )
    layers = [
        base.mark_point(size=70, opacity=1).encode(
            tooltip=[f"{name}:{'N' if name == 'model' else 'Q'}" for name in keep]
        )
    ]
    if interval:
        layers.insert(0, base.mark_rule(opacity=0.6).encode(y=f"{metric}_low:Q", y2=f"{metric}_high:Q"))
    if len(names) <= _LABELLED:
        layers.append(base.mark_text(align="left", dx=8, dy=-8).encode(text="model:N"))
    layer = ", ".join(summary["layer"].unique(maintain_order=True))
    title = f"{term(metric).label} against {term(against).label}"
    caption = (
        f"At layer {layer}; n = {len(names)} models, {spread(summary['texts'])} texts each. "
        "Bars are 95 % bootstrap intervals over texts."
    )
    return figure(f"{metric}_against_{against}", title, caption, alt.layer(*layers))


def has_shares(difference: Difference) -> bool:
    """Whether a difference can be expressed as a share of the reference's value."""
    signed = {metric.name for metric in table.METRICS if metric.signed}
    return difference.metric not in {"diff_erank", *signed} and bool(difference.reference_value)


def relative_differences(differences: Sequence[Difference]) -> Figure:
    """Differences from the first model in percent of its value, with intervals: metrics as rows, models as colours.

    Diff-eRank and metrics that can be negative are omitted: a share of a value that may be zero is meaningless.

    Args:
        differences: differences on one data set and layer.
    """
    import altair as alt

    used = [one for one in differences if has_shares(one)]
    if len({one.model for one in used}) > _ALL_METRICS:
        used = [one for one in used if one.metric in ("effective_rank", "loss")]
    rows = pl.DataFrame(
        [
            {
                "model": one.model,
                "metric": term(one.metric).label,
                "difference": one.difference / abs(one.reference_value),
                "low": one.low / abs(one.reference_value),
                "high": one.high / abs(one.reference_value),
            }
            for one in used
        ]
    )
    names = rows["model"].unique(maintain_order=True).to_list()
    y = alt.Y("metric:N", sort=rows["metric"].unique(maintain_order=True).to_list(), title=None, axis=ROWS)
    offset = alt.YOffset("model:N", sort=names)
    base = alt.Chart(inline(rows)).encode(
        y=y, yOffset=offset, color=colour_of_models(names, absent=[used[0].reference])
    )
    zero = alt.Chart(inline(pl.DataFrame({"zero": [0.0]}))).mark_rule(strokeDash=[3, 3]).encode(x="zero:Q")
    axis = alt.X("low:Q", title=f"difference from {used[0].reference} (% of its value)", axis=alt.Axis(format="+%"))
    bar = base.mark_rule(strokeWidth=3, opacity=0.45).encode(x=axis, x2="high:Q")
    dot = base.mark_point(size=50, opacity=1).encode(
        x="difference:Q", tooltip=["model:N", "metric:N", "difference:Q", "low:Q", "high:Q"]
    )
    texts = pl.Series([one.texts for one in used])
    caption = (
        f"Layer {used[0].layer}, on the texts that both models have: {counted(texts, 'texts')}. "
        "Bars are 95 % bootstrap intervals of the paired difference."
    )
    chart = alt.layer(zero, bar + dot).properties(height=(13 * rows.height if len(names) > 1 else 26 * rows.height) + 8)
    return figure("differences", f"Differences from {used[0].reference}", caption, chart)
