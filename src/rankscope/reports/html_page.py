"""Renders a report as one self-contained page with its scripts, styles and data; no other script may run."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rankscope import __version__
from rankscope.reports.figures import inline_json, script_bundle, theme
from rankscope.tables import to_html

if TYPE_CHECKING:
    from rankscope.reports.charts import Figure
    from rankscope.reports.report import Report

_PAGE = Path(__file__).parent / "page"
_LONG = 12  # longer tables are collapsed and placed below the charts
_OF_THE_PAGE = ("config", "title", "$schema")  # the page supplies the theme and shows titles as text


def _safe(text: str) -> Any:
    """Marks text as HTML that is ours or already escaped."""
    from markupsafe import Markup

    return Markup(text)  # noqa: S704


def render_page(report: Report) -> str:
    """Renders the page of a report.

    All text from models, data and paths is escaped. The content security policy lists the hashes of the page's two
    scripts: only they may run, and they cannot open any address.
    """
    import jinja2 as jinja

    environment = jinja.Environment(
        loader=jinja.FileSystemLoader(_PAGE), autoescape=True, undefined=jinja.StrictUndefined, trim_blocks=True
    )
    bundle, script = script_bundle(), (_PAGE / "page.js").read_text(encoding="utf-8")
    figures = [figure for section in report.sections for figure in section.figures]
    names = iter(range(len(figures)))
    page: str = environment.get_template("page.html.jinja").render(
        report=report,
        chart_ids=[[next(names) for _ in section.figures] for section in report.sections],
        to_html=lambda table: _safe(to_html(table)),
        hashes=_safe(f"{_policy_hash(bundle)} {_policy_hash(script)}"),
        style=_safe((_PAGE / "page.css").read_text(encoding="utf-8")),
        specifications=_safe(inline_json(_specifications(figures))),
        bundle=_safe(bundle),
        script=_safe(script),
        long=_LONG,
        version=__version__,
    )
    return page


def _specifications(figures: list[Figure]) -> dict[str, Any]:
    charts = [
        {key: value for key, value in figure.chart.to_dict().items() if key not in _OF_THE_PAGE} for figure in figures
    ]
    return {"looks": {"light": theme(), "dark": theme(dark=True)}, "charts": charts}


def _policy_hash(script: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
