"""A figure: a chart with a name, a title, and a caption that gives the number of texts or models."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl
import polars.selectors as cs

from rankscope.reports.figures import PALETTE, themed

if TYPE_CHECKING:
    from collections.abc import Sequence

    import altair as alt

ROWS = {"grid": True, "tickBand": "extent"}
"""Vertical axis for rows that hold several marks: grid lines run between the rows."""

_LETTERS_OF_A_LINE = 84
_SIGNIFICANT = 5  # digits of plotted values; more would only make pages larger


@dataclass(frozen=True)
class Figure:
    """A chart that is ready to be shown, saved or put on a page.

    Attributes:
        name: base name of its files.
        title: shown above the chart.
        caption: what the chart shows, and the number of texts or models.
        chart: the Altair specification, with theme and title.
    """

    name: str
    title: str
    caption: str
    chart: alt.TopLevelMixin

    def _repr_mimebundle_(self, *choice: Any, **more: Any) -> Any:
        return self.chart._repr_mimebundle_(*choice, **more)


def figure(name: str, title: str, caption: str, chart: alt.TopLevelMixin) -> Figure:
    """Makes a figure from a chart without a title."""
    import altair as alt

    heading = alt.Title(title, subtitle=textwrap.wrap(caption, _LETTERS_OF_A_LINE))
    return Figure(name, title, caption, themed(chart.properties(title=heading, description=f"{title}. {caption}")))


def inline(frame: pl.DataFrame) -> alt.Data:
    """Embeds a frame in the specification, rounded to five significant digits."""
    rounded = frame.with_columns(cs.float().fill_nan(None).round_sig_figs(_SIGNIFICANT))
    import altair as alt

    return alt.Data(values=rounded.to_dicts())


def by_role(summary: pl.DataFrame, *keys: str) -> pl.DataFrame:
    """Effective ranks of trained models and their twins in long format: role, rank, low, high and the keys."""
    parts = []
    for role, key in (("trained", "effective_rank"), ("untrained", "effective_rank_untrained")):
        ends = {end: f"{key}_{end}" for end in ("low", "high")}
        if key in summary.columns:
            parts.append(
                summary.select(
                    *keys,
                    role=pl.lit(role),
                    rank=pl.col(key).cast(pl.Float64),
                    **{
                        end: pl.col(name).cast(pl.Float64) if name in summary.columns else pl.lit(None, pl.Float64)
                        for end, name in ends.items()
                    },
                ).drop_nulls("rank")
            )
    return pl.concat(parts)


def colour_of_models(models: Sequence[str], *, legend: bool = True, absent: Sequence[str] = ()) -> alt.Color:
    """One colour per model, in order of appearance; more than eight models use a larger palette.

    Args:
        models: names, which may repeat.
        legend: whether to show a legend.
        absent: models that come first but are not drawn here; they keep their colours, so that all charts agree.
    """
    import altair as alt

    names = list(dict.fromkeys([*absent, *models]))
    shown = [name for name in names if name not in absent]
    scale = alt.Scale(domain=names, **({"scheme": "tableau20"} if len(names) > len(PALETTE) else {"range": "category"}))
    return alt.Color("model:N", title=None, scale=scale, legend=alt.Legend(values=shown) if legend else None)


def dash_of_roles(roles: Sequence[str]) -> alt.StrokeDash:
    """Solid for the trained model, dashed for its untrained twin; a single role has no legend."""
    import altair as alt

    scale = alt.Scale(domain=["trained", "untrained"], range=[[1, 0], [5, 4]])
    return alt.StrokeDash("role:N", title=None, scale=scale, **({} if len(set(roles)) > 1 else {"legend": None}))


def colour_of_roles() -> alt.Color:
    """The first colour for the trained model, the second for its twin."""
    import altair as alt

    scale = alt.Scale(domain=["trained", "untrained"], range="category")
    return alt.Color("role:N", title=None, scale=scale)


def counted(numbers: pl.Series, what: str) -> str:
    """`n = 40 texts`, `n = 1 text`, or a range such as `n = 38 to 40 texts`."""
    return f"n = {spread(numbers)} {what.removesuffix('s') if spread(numbers) == '1' else what}"


def spread(numbers: pl.Series) -> str:
    """`40` if all numbers are equal, otherwise a range such as `38 to 40`."""
    values = numbers.to_list()
    return f"{min(values):,}" if min(values) == max(values) else f"{min(values):,} to {max(values):,}"
