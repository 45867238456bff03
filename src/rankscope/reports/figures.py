"""Renders Altair charts to SVG, PNG, PDF and self-contained HTML pages."""

from __future__ import annotations

import html
import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from rankscope.atomic import write_bytes
from rankscope.errors import UnknownNameError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import altair as alt

    Chart = TypeVar("Chart", bound=alt.TopLevelMixin)

Format = Literal["svg", "png", "pdf", "html"]
FORMATS: tuple[Format, ...] = ("svg", "png", "pdf", "html")

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#E69F00", "#CC79A7", "#56B4E9", "#8C8C8C", "#F0E442")
"""Eight colours that people with any colour vision can distinguish (Okabe & Ito 2008,
https://jfly.uni-koeln.de/color/). Grey replaces black, which is invisible in dark mode; yellow, which is faint on
paper, comes last."""

_PALETTE_IN_THE_DARK = ("#4BA3E3", *PALETTE[1:5], "#F0E442", "#B0B0B0", "#56B4E9")
_FONT = "Helvetica Neue, Helvetica, Arial, Liberation Sans, DejaVu Sans, sans-serif"
WIDTH = 460
"""Default width of a chart's plotting area in pixels."""

_PIXELS_PER_POINT = 2.0


def theme(*, dark: bool = False) -> dict[str, Any]:
    """The theme of all charts, as a Vega-Lite configuration."""
    ink, quiet, line = ("#e6e6e3", "#a9adb3", "#3a3f47") if dark else ("#1d2126", "#5b6169", "#dcdfe3")
    return {
        "background": "#15181c" if dark else "#ffffff",
        "font": _FONT,
        "padding": 6,
        "axis": {
            "labelColor": quiet, "titleColor": ink, "gridColor": line, "domainColor": quiet, "tickColor": quiet,
            "labelFontSize": 11, "titleFontSize": 12, "titleFontWeight": "normal", "titlePadding": 8,
            "gridOpacity": 0.7, "tickSize": 4, "labelLimit": 220,
        },
        "legend": {
            "labelColor": ink, "titleColor": quiet, "labelFontSize": 11, "titleFontSize": 11,
            "titleFontWeight": "normal", "orient": "bottom", "columns": 3, "labelLimit": 260, "symbolLimit": 40,
            "symbolSize": 60, "symbolOpacity": 1,
        },
        "header": {
            "labelColor": ink, "titleColor": quiet, "labelFontSize": 11, "titleFontWeight": "normal", "labelLimit": 220,
        },
        "title": {
            "color": ink, "subtitleColor": quiet, "fontSize": 14, "fontWeight": 600, "subtitleFontSize": 11,
            "anchor": "start", "offset": 10, "subtitlePadding": 4,
        },
        "text": {"color": ink, "fontSize": 11},
        "rule": {"color": quiet},
        "line": {"strokeWidth": 1.8},
        "point": {"size": 45, "filled": True},
        "view": {"stroke": None, "continuousWidth": WIDTH, "continuousHeight": 260, "discreteHeight": {"step": 22}},
        "range": {"category": list(_PALETTE_IN_THE_DARK if dark else PALETTE), "ramp": {"scheme": "viridis"}},
    }  # fmt: skip


def themed(chart: Chart) -> Chart:
    """A copy of the chart with the theme applied; Altair's global theme is not changed."""
    looked: Chart = chart.copy(deep=False)
    looked.config = theme()
    return looked


def save_figure(chart: alt.TopLevelMixin, place: str | Path, formats: Sequence[Format] = ("svg",)) -> list[Path]:
    """Renders a chart to `<place>.svg`, `.png`, `.pdf` or `.html`.

    Args:
        chart: the chart, with the theme applied; see `themed`.
        place: path without a suffix; missing folders are created.
        formats: any of `FORMATS`; the HTML is a single file that includes all scripts.

    Raises:
        UnknownNameError: a format is not in `FORMATS`.
        StorageError: a file could not be written.
    """
    for name in formats:
        if name not in FORMATS:
            raise UnknownNameError("figure format", name, FORMATS)
    specification = chart.to_dict()
    written = []
    for name in formats:
        file = Path(f"{place}.{name}")
        content = _rendered(specification, name)
        write_bytes(file, content if isinstance(content, bytes) else content.encode())
        written.append(file)
    return written


def inline_json(value: object) -> str:
    """JSON that is safe inside a `<script>`: nothing in it can close the script or open a comment.

    Raises:
        ValueError: the value contains NaN or infinity.
    """
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for letter in "<>&\u2028\u2029":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return text


def script_bundle() -> str:
    """Vega, Vega-Lite and the function `vegaEmbed` as one script (about 0.9 MB) that can be embedded in a page."""
    return _bundled_scripts()


@cache
def _bundled_scripts() -> str:
    """Cached, because bundling takes two seconds."""
    import vl_convert as converter

    bundle: str = converter.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    return bundle.replace("</script", "<\\/script")


def _rendered(specification: dict[str, Any], name: Format) -> str | bytes:
    import vl_convert as converter

    content: str | bytes
    if name == "svg":
        content = converter.vegalite_to_svg(specification)
    elif name == "png":
        content = converter.vegalite_to_png(specification, scale=_PIXELS_PER_POINT)
    elif name == "pdf":
        content = converter.vegalite_to_pdf(specification)
    else:
        content = _page(specification)
    return content


def _page(specification: dict[str, Any]) -> str:
    title = html.escape(str(specification.get("description") or "figure"))
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title></head>
<body><div id="figure"></div>
<script type="module">{script_bundle()}</script>
<script type="module">
window.vegaEmbed("#figure", {inline_json(specification)},
  {{renderer: "svg", actions: {{export: true, source: false, compiled: false, editor: false}}}});
</script></body></html>
"""
