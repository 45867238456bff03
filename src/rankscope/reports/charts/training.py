"""The training of one model: effective rank and loss over steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from rankscope.reports.charts.figure import Figure, by_role, colour_of_roles, figure, inline, spread
from rankscope.reports.figures import PALETTE
from rankscope.tables import titled

if TYPE_CHECKING:
    import altair as alt


def rank_through_training(summary: pl.DataFrame) -> Figure:
    """Effective rank of the checkpoints, and of the untrained twin if measured, over training steps.

    Args:
        summary: rows of one data set and one layer, with the column `step`.
    """
    import altair as alt

    rows = by_role(summary, "model", "step", "texts").sort("step")
    base = alt.Chart(inline(rows)).encode(x=_steps(summary), color=colour_of_roles())
    y = alt.Y("low:Q", title=titled("effective_rank", spelled_out=True), scale=alt.Scale(zero=False))
    band = base.mark_area(opacity=0.18).encode(y=y, y2="high:Q")
    tooltip = ["model:N", "role:N", "step:Q", "rank:Q", "low:Q", "high:Q", "texts:Q"]
    chart = band + base.mark_line().encode(y="rank:Q") + base.mark_point().encode(y="rank:Q", tooltip=tooltip)
    return figure("rank_through_training", "Effective rank through training", _caption(summary), chart)


def loss_through_training(summary: pl.DataFrame) -> Figure:
    """Loss of the checkpoints over training steps.

    Args:
        summary: rows of one data set and one layer, with the column `step`.
    """
    import altair as alt

    names = [name for name in ("loss_low", "loss_high") if name in summary.columns]
    rows = summary.select("model", "step", "loss", *names).drop_nulls("loss").sort("step")
    base = alt.Chart(inline(rows)).encode(x=_steps(summary))
    y = alt.Y("loss:Q", title=titled("loss"), scale=alt.Scale(zero=False))
    look = {"color": PALETTE[1]}
    chart = base.mark_line(**look).encode(y=y) + base.mark_point(**look).encode(
        y=y, tooltip=["model:N", "step:Q", *(f"{name}:Q" for name in ("loss", *names))]
    )
    if names:
        band = base.mark_area(opacity=0.18, **look)
        chart = (
            band.encode(y=alt.Y("loss_low:Q", title=titled("loss"), scale=alt.Scale(zero=False)), y2="loss_high:Q")
            + chart
        )
    return figure("loss_through_training", "Loss through training", _caption(summary), chart)


def _steps(summary: pl.DataFrame) -> alt.X:
    """A symmetric log axis, which has room for step 0; the ticks are the steps."""
    import altair as alt

    steps = summary["step"].unique().sort().to_list()
    scale = alt.Scale(type="symlog", constant=max(1, min([step for step in steps if step > 0], default=1)), nice=False)
    axis = alt.Axis(values=steps, labelOverlap="greedy", format="~s" if steps[-1] >= 10_000 else ",d")
    return alt.X("step:Q", title="training step", scale=scale, axis=axis)


def _caption(summary: pl.DataFrame) -> str:
    layer = ", ".join(summary["layer"].unique(maintain_order=True))
    return (
        f"At layer {layer}; n = {summary['step'].n_unique()} checkpoints, {spread(summary['texts'])} texts each. "
        "Bands are 95 % bootstrap intervals over texts."
    )
