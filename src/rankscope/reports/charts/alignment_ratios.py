"""The figure of an alignment: loss, ratios and integration rate of each model, with one line per control."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rankscope.reports.figures import themed
from rankscope.tables import short_name, titled

if TYPE_CHECKING:
    from collections.abc import Sequence

    import altair as alt

    from rankscope.statistics import Summary

_PANELS = ("loss", "image_reduction_ratio", "image_text_alignment", "modality_integration_rate")
_WIDTH, _HEIGHT = 230, 170


def alignment_figure(rows: Sequence[Summary]) -> alt.VConcatChart:
    """Models from left to right in the order of the rows, with bootstrap intervals if available."""
    import altair as alt

    shown = [row | {"model": short_name(row["model"])} for row in rows]
    panels = [_panel(alt, key, titled(key, spelled_out=True), shown) for key in _PANELS]
    lines = [alt.hconcat(*panels[:2], spacing=28), alt.hconcat(*panels[2:], spacing=28)]
    texts = max(int(row["texts"] or 0) for row in rows)
    title = {
        "text": "Image and text",
        "subtitle": f"{texts:,} pairs; intervals are 95 % bootstrap intervals over pairs",
    }
    return themed(alt.vconcat(*lines, spacing=18).properties(title=title, description="Image and text"))


def _panel(alt: Any, key: str, title: str, rows: Sequence[Summary]) -> Any:
    ends = [f"{key}_low", f"{key}_high"]
    values = [
        {name: row.get(name) for name in ("model", "dataset", "control", key, *ends)}
        for row in rows
        if row.get(key) is not None
    ]
    base = alt.Chart(alt.Data(values=values))
    x = alt.X("model:N", sort=None, title=None, axis=alt.Axis(labelAngle=-35))
    y = alt.Y(f"{key}:Q", title=title, scale=alt.Scale(zero=False))
    color = alt.Color("control:N", title="images", sort=None)
    dash = alt.StrokeDash("control:N", legend=None, sort=None)  # keeps overlapping lines visible
    tooltip = ["model:N", "dataset:N", "control:N", f"{key}:Q"]
    layers = [
        base.mark_rule(opacity=0.6).encode(x=x, y=alt.Y(f"{ends[0]}:Q", title=title), y2=f"{ends[1]}:Q", color=color),
        base.mark_line().encode(x=x, y=y, color=color, strokeDash=dash, detail="dataset:N"),
        base.mark_point(filled=True, size=45).encode(x=x, y=y, color=color, tooltip=tooltip),
    ]
    return alt.layer(*layers).properties(width=_WIDTH, height=_HEIGHT)
