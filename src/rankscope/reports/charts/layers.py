"""Effective rank of trained models and their twins: by layer, or by model if only one layer was measured."""

from __future__ import annotations

import polars as pl

from rankscope.reports.charts.figure import (
    Figure,
    by_role,
    colour_of_models,
    colour_of_roles,
    counted,
    dash_of_roles,
    figure,
    inline,
)
from rankscope.reports.figures import WIDTH
from rankscope.statistics import layer_depth
from rankscope.tables import titled


def rank_by_layer(summary: pl.DataFrame) -> Figure:
    """Lines over layers, solid for the trained model and dashed for its twin, with bands for intervals.

    Args:
        summary: rows of `Run.summary()` for one data set.
    """
    import altair as alt

    rows = by_role(summary, "model", "layer", "texts")
    data = inline(rows)
    order = sorted(rows["layer"].unique(), key=layer_depth)
    x = alt.X(
        "layer:O",
        sort=order,
        title="layer (0: embeddings; last: input of the head)",
        axis=alt.Axis(labelAngle=0, labelOverlap="parity"),
    )
    colour, dash = colour_of_models(rows["model"].to_list()), dash_of_roles(rows["role"].to_list())
    base = alt.Chart(data).encode(x=x, color=colour)
    band = base.mark_area(opacity=0.16).encode(
        y=alt.Y("low:Q", title=titled("effective_rank", spelled_out=True)), y2="high:Q", detail="role:N"
    )
    tooltip = ["model:N", "role:N", "layer:O", "rank:Q", "low:Q", "high:Q", "texts:Q"]
    line = base.mark_line().encode(y="rank:Q", strokeDash=dash)
    point = base.mark_point(size=26).encode(y="rank:Q", detail="role:N", tooltip=tooltip)
    roles = "solid: trained, dashed: untrained" if rows["role"].n_unique() > 1 else "trained"
    caption = f"Effective rank at each layer ({roles}); {counted(rows['texts'], 'texts')}. "
    caption += "Bands are 95 % bootstrap intervals over texts."
    return figure("rank_by_layer", "Effective rank by layer", caption, (band + line + point).properties(width=WIDTH))


def rank_by_model(summary: pl.DataFrame) -> Figure:
    """One row per model: untrained and trained effective rank, joined by a line, with intervals.

    Args:
        summary: rows of one data set and one layer.
    """
    import altair as alt

    rows = by_role(summary, "model", "texts")
    y = alt.Y("model:N", sort=summary["model"].unique(maintain_order=True).to_list(), title=None)
    base = alt.Chart(inline(rows)).encode(y=y)
    join = base.mark_line(strokeWidth=1.2, color="#8c8c8c").encode(x="rank:Q", detail="model:N")
    bar = base.mark_rule(strokeWidth=5, opacity=0.35).encode(
        x=alt.X("low:Q", title=titled("effective_rank", spelled_out=True)), x2="high:Q", color=colour_of_roles()
    )
    point = base.mark_point(size=70, opacity=1).encode(
        x="rank:Q", color=colour_of_roles(), tooltip=["model:N", "role:N", "rank:Q", "low:Q", "high:Q", "texts:Q"]
    )
    layer = ", ".join(summary["layer"].unique(maintain_order=True))
    caption = f"Effective rank at layer {layer}; {counted(rows['texts'], 'texts')}. "
    caption += "Bars are 95 % bootstrap intervals over texts."
    chart = (join + bar + point).properties(height=34 * summary["model"].n_unique())
    return figure("rank_by_model", "Effective rank by model", caption, chart)
