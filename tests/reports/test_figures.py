from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import altair as alt
import polars as pl
import pytest

from rankscope.errors import StorageError, UnknownNameError
from rankscope.reports import FORMATS, PALETTE, save_figure, theme, themed
from rankscope.reports.figures import inline_json, script_bundle

pytestmark = pytest.mark.slow

HOSTILE = "</script><!--<img src=x onerror=alert(1)>\u2028"


@pytest.fixture
def chart() -> alt.Chart:
    frame = pl.DataFrame({"x": [1, 2, 3], "y": [2.0, 1.0, 3.0], "of": ["a", "b", HOSTILE]})
    return themed(alt.Chart(frame, description=HOSTILE).mark_point().encode(x="x:Q", y="y:Q", color="of:N"))


def test_all_formats_from_one_specification(chart: alt.Chart, tmp_path: Path) -> None:
    files = save_figure(chart, tmp_path / "figures" / "one.v2", FORMATS)
    assert [file.name for file in files] == ["one.v2.svg", "one.v2.png", "one.v2.pdf", "one.v2.html"]
    svg, png, pdf, page = files
    drawing = svg.read_text()
    assert ElementTree.fromstring(drawing).tag.endswith("svg")
    assert all(colour.lower() in drawing.lower() for colour in PALETTE[:3])
    assert png.read_bytes().startswith(b"\x89PNG")
    assert pdf.read_bytes().startswith(b"%PDF")
    text = page.read_text()
    assert text.count("<script") == text.count("</script>") == 2
    assert "<!--" not in text
    assert "<img src=x" not in text


def test_text_is_drawn(tmp_path: Path) -> None:
    """A font that cannot be read as CSS leaves a picture without any text."""
    title = alt.Chart(alt.Data(values=[{}]), title="Words and numbers").mark_point(opacity=0)
    (file,) = save_figure(themed(title), tmp_path / "title", ["png"])
    assert len(file.read_bytes()) > 2 * len(
        save_figure(themed(title.properties(title="")), tmp_path / "none", ["png"])[0].read_bytes()
    )


def test_the_theme_is_applied_to_a_copy_and_to_nothing_else(chart: alt.Chart) -> None:
    plain = alt.Chart(pl.DataFrame({"x": [1]})).mark_point()
    look = themed(plain)
    assert look.to_dict()["config"]["range"]["category"] == list(PALETTE)
    assert "range" not in plain.to_dict().get("config", {})
    assert "range" not in (plain | plain).to_dict().get("config", {})
    assert themed(plain | plain).to_dict()["config"] == themed(plain + plain).to_dict()["config"]
    assert theme()["background"] != theme(dark=True)["background"]


def test_json_in_a_page_cannot_close_its_script() -> None:
    text = inline_json({"name": HOSTILE})
    assert not any(letter in text for letter in "<>\u2028")
    assert json.loads(text) == {"name": HOSTILE}
    with pytest.raises(ValueError, match="JSON"):
        inline_json(float("nan"))


def test_the_bundle_can_stand_in_a_page() -> None:
    bundle = script_bundle()
    assert "</script" not in bundle
    assert "vegaEmbed" in bundle
    assert len(bundle) < 1_100_000


def test_clear_errors(chart: alt.Chart, tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="did you mean svg"):
        save_figure(chart, tmp_path / "x", ("svgg",))
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="could not write"):
        save_figure(chart, tmp_path / "file" / "x")


def test_words_are_drawn(chart: alt.Chart, tmp_path: Path) -> None:
    """A list of fonts that a renderer cannot parse draws no letter at all."""
    files = [
        save_figure(chart.properties(title=title), tmp_path / name, ("png",))[0].read_bytes()
        for name, title in (("one", "pppppp"), ("other", "bbbbbb"))
    ]
    assert files[0] != files[1]
