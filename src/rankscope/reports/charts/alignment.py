"""Vision-language models: the five effective ranks of images and texts."""

from __future__ import annotations

import polars as pl

from rankscope.reports.charts.figure import ROWS, Figure, colour_of_models, counted, figure, inline
from rankscope.tables import titled

STAGES = {
    "erank1": "1 vision encoder",
    "erank2": "2 connector",
    "erank3": "3 image only",
    "erank4": "4 text only",
    "erank5": "5 image and text",
}
"""Where the five effective ranks are taken: 1 and 2 on image tokens, 3 to 5 at the language model's last layer."""


def alignment_ranks(summary: pl.DataFrame) -> Figure:
    """Five dots with intervals for each model.

    Args:
        summary: rows of one data set from an alignment run.
    """
    import altair as alt

    parts = [
        summary.select(
            "model",
            "texts",
            stage=pl.lit(stage),
            rank=pl.col(key).cast(pl.Float64),
            **{
                end: (pl.col(f"{key}_{end}") if f"{key}_{end}" in summary.columns else pl.lit(None)).cast(pl.Float64)
                for end in ("low", "high")
            },
        )
        for key, stage in STAGES.items()
    ]
    rows = pl.concat(parts).drop_nulls("rank")
    names = summary["model"].unique(maintain_order=True).to_list()
    base = alt.Chart(inline(rows)).encode(
        y=alt.Y("stage:N", sort=list(STAGES.values()), title=None, axis=ROWS),
        yOffset=alt.YOffset("model:N", sort=names),
        color=colour_of_models(names, legend=len(names) > 1),
    )
    bar = base.mark_rule(strokeWidth=4, opacity=0.4).encode(
        x=alt.X("low:Q", title=titled("effective_rank", spelled_out=True)), x2="high:Q"
    )
    dot = base.mark_point(size=70, opacity=1).encode(
        x="rank:Q", tooltip=["model:N", "stage:N", "rank:Q", "low:Q", "high:Q", "texts:Q"]
    )
    caption = (
        "Image tokens after the vision encoder and after the connector; the language model's last hidden states for "
        f"only the image, only the text, and both. {counted(rows['texts'], 'items')}. "
        "Bars are 95 % bootstrap intervals."
    )
    chart = (bar + dot).properties(height=(16 if len(names) > 1 else 32) * len(names) * len(STAGES))
    return figure("alignment_ranks", "Effective ranks of images and texts", caption, chart)
