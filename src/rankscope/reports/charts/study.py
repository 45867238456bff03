"""The figure of a study: one panel per metric, one line per series, with published values and noise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from rankscope.reports.figures import themed
from rankscope.studies.sentences import by_layer
from rankscope.tables import said, short_names, titled

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import altair as alt

    from rankscope.studies import Conducted, Figure

_WIDTH, _HEIGHT, _COLUMNS = 230, 190, 3


def study_figure(conducted: Conducted) -> alt.VConcatChart | None:
    """One Altair specification with all panels, or None if none of the figure's values could be computed.

    Points have bootstrap intervals. Hollow diamonds are published values for the same model and data; the dashed line
    is isotropic noise of the same shape.
    """
    import altair as alt

    study, findings = conducted.study, conducted.findings
    blocks = []
    for figure in (findings.figure or study.figure, *study.more_figures):
        table = findings.table if figure.table is None else findings.more.get(figure.table)
        if table is not None and (rows := _rows_of_panels(alt, conducted, figure, _labelled(table))):
            block = alt.vconcat(*rows, spacing=30)
            blocks.append(block.properties(title={"text": figure.title, "fontSize": 14}) if figure.title else block)
    if not blocks:
        return None
    subtitle = [study.question, _count(findings.table)]
    # Figures from different tables have different series.
    chart = blocks[0] if len(blocks) == 1 else alt.vconcat(*blocks, spacing=40).resolve_scale(color="independent")
    return themed(
        chart.properties(
            title={"text": study.name.capitalize(), "subtitle": subtitle},
            description=f"Study {study.name}: {study.question}",
        )
    )


def _rows_of_panels(alt: Any, conducted: Conducted, figure: Figure, table: pl.DataFrame) -> list[Any]:
    """The panels of one figure, titled by group; empty if none of its values could be computed."""
    found = []
    for name, group in _groups(figure, table):
        marks = _marks(conducted, group)
        panels = [_panel(alt, figure, metric, group, marks) for metric in figure.metrics if _came_out(metric, group)]
        if not panels:
            continue
        lines = [
            alt.hconcat(*panels[start : start + _COLUMNS], spacing=28) for start in range(0, len(panels), _COLUMNS)
        ]
        block = alt.vconcat(*lines, spacing=18)
        found.append(block.properties(title={"text": name, "fontSize": 13}) if name else block)
    return found


def _groups(figure: Figure, table: pl.DataFrame) -> Iterator[tuple[str, pl.DataFrame]]:
    """Titled groups of rows: by the figure's column, and by data set and layer if their points would mix."""
    keys = [figure.panels_by] if figure.panels_by else []
    if "layer" in table.columns and "layer" not in keys and figure.x != "depth" and len(list(by_layer(table))) > 1:
        keys.append("layer")
    if figure.panels_by == "layer" and table["dataset"].n_unique() > 1:
        keys.insert(0, "dataset")
    if not keys:
        yield "", table
        return
    for values, rows in table.group_by(keys, maintain_order=True):
        named_keys = zip(keys, values, strict=True)
        yield ", ".join(f"layer: {value}" if key == "layer" else str(value) for key, value in named_keys), rows


def _marks(conducted: Conducted, table: pl.DataFrame) -> list[dict[str, object]]:
    """The change points to mark on the horizontal axis of these rows' panels."""
    found = conducted.findings.more.get(conducted.study.figure.marks or "")
    if found is None:
        return []
    return found.drop_nulls("change").join(table, on=["dataset", "layer"], how="semi").rows(named=True)


def _came_out(metric: str, table: pl.DataFrame) -> bool:
    return metric in table.columns and table[metric].null_count() < table.height


def _labelled(table: pl.DataFrame) -> pl.DataFrame:
    names = [name for name in ("model", "judge") if name in table.columns]
    return table.with_columns(*(pl.col(name).replace(short_names(table[name])) for name in names))


def _count(table: pl.DataFrame) -> str:
    numbers = table["texts"].to_list()
    low, high = min(numbers), max(numbers)
    texts = f"{low:,}" if low == high else f"{low:,} to {high:,}"
    return f"n = {texts} texts per point; intervals, if any, are 95 % bootstrap intervals over texts"


def _panel(
    alt: Any, figure: Figure, metric: str, table: pl.DataFrame, marks: Sequence[Mapping[str, object]] = ()
) -> Any:
    extra = [
        f"{metric}_{name}" for name in ("low", "high", "published", "noise") if f"{metric}_{name}" in table.columns
    ]
    joined_by = [figure.order] if figure.order else []
    wanted = dict.fromkeys([figure.x, figure.series, "model", *joined_by, "texts", metric, *extra])
    columns = [name for name in wanted if name in table.columns]
    data = alt.Data(values=table.select(columns).drop_nulls([figure.x, metric]).rows(named=True))
    base = alt.Chart(data)
    x = _x_axis(alt, figure)
    color = alt.Color(f"{figure.series}:N", title=said(figure.series), sort=None)
    scale = alt.Scale(domain=_domain(table, [metric, *extra]), nice=True, type="log" if _is_log(metric) else "linear")
    title = titled(metric, scale="log scale" if _is_log(metric) else "")
    y, *others = (alt.Y(f"{name}:Q", title=title, scale=scale) for name in (metric, *extra))
    of = dict(zip(extra, others, strict=True))
    tooltip = [alt.Tooltip(f"{name}:{'N' if table[name].dtype == pl.String else 'Q'}") for name in columns]
    layers = []
    if f"{metric}_low" in extra:
        ends = base.mark_rule(opacity=0.6).encode(x=x, color=color, y=of[f"{metric}_low"], y2=f"{metric}_high:Q")
        layers.append(ends)
    if figure.is_ordered:
        order = {"order": alt.Order(f"{figure.order}:Q")} if figure.order else {}
        layers.append(base.mark_line().encode(x=x, y=y, color=color, **order))
    layers.append(base.mark_point(filled=True, size=45).encode(x=x, y=y, color=color, tooltip=tooltip))
    if f"{metric}_noise" in extra:
        noise = base.mark_line(strokeDash=[4, 3], strokeWidth=1.2)
        layers.append(noise.encode(x=x, y=of[f"{metric}_noise"], color=color))
    if f"{metric}_published" in extra:
        printed = base.mark_point(filled=False, shape="diamond", size=90)
        layers.append(printed.encode(x=x, y=of[f"{metric}_published"], color=color))
    if marks:
        rules = alt.Chart(alt.Data(values=[{figure.x: mark["change"]} for mark in marks]))
        layers.append(rules.mark_rule(strokeDash=[1, 3], opacity=0.8).encode(x=x))
    return alt.layer(*layers).properties(width=_WIDTH, height=_HEIGHT)


def _x_axis(alt: Any, figure: Figure) -> Any:
    title = titled(figure.x)
    if figure.x == "condition":
        return alt.X("condition:N", title=None, sort=None, axis=alt.Axis(labelAngle=-35))
    scale = alt.Scale(type="log", nice=False, padding=12) if figure.log_x else alt.Scale(zero=False, padding=12)
    axis = alt.Axis(format="~s", tickCount=5) if figure.x in ("parameters", "step", "size") else alt.Axis(tickCount=6)
    if figure.x in ("removed", "block", "bits"):
        axis = alt.Axis(tickCount=6, tickMinStep=1, format="d")
        scale = alt.Scale(zero=False, nice=False, padding=12)
    return alt.X(f"{figure.x}:Q", title=title, scale=scale, axis=axis)


def _domain(table: pl.DataFrame, columns: list[str]) -> list[float]:
    """The lowest and highest plotted value, including the ends of intervals."""
    drawn = table.select(columns).unpivot()["value"].drop_nulls()
    return [float(drawn.min()), float(drawn.max())]  # type: ignore[arg-type]


def _is_log(metric: str) -> bool:
    return metric.endswith("_seconds")
