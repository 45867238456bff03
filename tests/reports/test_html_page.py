"""The page in a real browser: what it shows, what it asks the network for, and what it does with hostile names."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

import rankscope as rs
from made_up import renamed
from rankscope.reports import build_report, save_page

pytestmark = pytest.mark.slow

HOSTILE = {
    "pico-0.1m": "<script>alert(1)</script>",
    "pico-0.4m": '"></script><img src=x onerror="alert(2)"><!--',
    "pico-1m": "{{ 7 * 7 }} ${alert(3)} </td></table> javascript:alert(4)",
    "stdlib-docs": "data'\"><svg onload=alert(5)>\u2028</SCRIPT >",
}
_SWITCHES = ["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync"]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium; where there is none a skip for people, a failure in CI."""
    where = shutil.which("chromium") or shutil.which("google-chrome")
    if where is None:
        message = "no chromium on this machine: apt-get install chromium"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=where, args=_SWITCHES)
        yield chromium
        chromium.close()


class Opened:
    """A page with all that it said and asked for."""

    def __init__(self, context: BrowserContext, file: Path) -> None:
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page: Page = context.new_page()
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.complaints.append(dialog.message), dialog.dismiss()))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(file.as_uri())
        self.page.wait_for_selector("html[data-drawn=true]", timeout=60_000)

    def check(self, charts: int) -> None:
        """Every chart is drawn with marks in it, nothing was complained of, and only the file was read."""
        assert self.complaints == []
        assert [url for url in self.requests if not url.startswith(("file:", "data:", "blob:"))] == []
        assert len([url for url in self.requests if url.startswith("file:")]) == 1
        marks = "places => places.map(place => place.querySelectorAll('svg .mark-group path, svg .mark-group line, "
        marks += "svg .mark-symbol path, svg .mark-line path, svg .mark-rule line').length)"
        drawn = self.page.eval_on_selector_all("[data-chart]", marks)
        assert len(drawn) == charts
        assert all(drawn)
        assert self.page.locator("table").count() > 0


def opened(browser: Browser, file: Path, *, width: int = 1200, scheme: str = "light") -> Opened:
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True)
    return Opened(context, file)


@pytest.mark.parametrize("name", ["single", "sizes", "training", "several", "alignment"])
def test_every_kind_of_report(
    browser: Browser, runs: dict[str, rs.Run], alignment: rs.Run, tmp_path: Path, name: str
) -> None:
    if name == "alignment":
        alignment = rs.align("pico-vlm", "drawn-scenes", limit=6, controls=["shuffled"], output=tmp_path / "align")
    of = {"alignment": [alignment], "several": [runs["single"], runs["training"], alignment]}.get(name) or [runs[name]]
    report = build_report(*of)
    one = opened(browser, save_page(report, tmp_path / "report.html"))
    one.check(charts=len(report.figures()))
    assert one.page.locator("h1").inner_text() == report.title
    assert one.page.locator("main h2").all_inner_texts() == [section.heading for section in report.sections]
    assert one.page.locator("figcaption").all_inner_texts() == [part.caption for part in report.figures().values()]
    described = one.page.locator('[role="graphics-document"][aria-roledescription="visualization"][aria-label]')
    labels = [place.get_attribute("aria-label") for place in described.all()]
    assert labels == [f"{part.title}. {part.caption}" for part in report.figures().values()]
    screenshot = tmp_path / f"{name}.png"
    one.page.screenshot(path=screenshot, full_page=True)
    assert screenshot.stat().st_size > 20_000


def test_a_table_is_sorted_by_its_headings_with_the_keyboard(
    browser: Browser, runs: dict[str, rs.Run], tmp_path: Path
) -> None:
    page = opened(browser, save_page(build_report(runs["training"]), tmp_path / "report.html")).page
    table = page.locator("table").first
    losses = [row["loss"] for row in runs["training"].summary_rows()]
    expected = [f"{loss:.3f}" for loss in sorted(losses)]
    last = table.locator("tbody tr td:last-child")
    assert last.all_inner_texts() == [f"{loss:.3f}" for loss in losses] != expected
    heading = table.locator("thead th", has_text="loss")
    heading.locator("button").focus()
    page.keyboard.press("Enter")
    assert last.all_inner_texts() == expected
    assert heading.get_attribute("aria-sort") == "ascending"
    page.keyboard.press("Space")
    assert last.all_inner_texts() == expected[::-1]
    assert heading.get_attribute("aria-sort") == "descending"
    assert table.locator('[aria-sort="none"]').count() == table.locator("thead button").count() - 1
    table.locator("thead button").first.click()
    names = table.locator("tbody th").all_inner_texts()
    assert names == sorted(names)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone_in_light_and_dark(
    browser: Browser, runs: dict[str, rs.Run], tmp_path: Path, scheme: str
) -> None:
    report = build_report(runs["sizes"])
    one = opened(browser, save_page(report, tmp_path / "report.html"), width=390, scheme=scheme)
    one.check(charts=len(report.figures()))
    assert one.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    for box in (place.bounding_box() for place in one.page.locator("[data-chart] > svg, [data-chart] svg.marks").all()):
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 390
    paper = one.page.evaluate("getComputedStyle(document.body).backgroundColor")
    ink = one.page.locator("[data-chart] svg .role-axis-title text").first.get_attribute("fill")
    assert (paper, ink) == {
        "light": ("rgb(255, 255, 255)", "#1d2126"),
        "dark": ("rgb(21, 24, 28)", "#e6e6e3"),
    }[scheme]


def test_hostile_text_stays_text(browser: Browser, runs: dict[str, rs.Run], tmp_path: Path) -> None:
    run = renamed(runs["sizes"], tmp_path / "<b>run & 'folder'", HOSTILE)
    report = build_report(run)
    file = save_page(report, tmp_path / "report.html")
    text = file.read_text(encoding="utf-8")
    assert text.count("</script") == text.count("<script") == 3
    assert "<!--" not in text
    one = opened(browser, file)
    one.check(charts=len(report.figures()))
    names = one.page.locator("table").first.locator("tbody th").all_inner_texts()
    assert [" ".join(name.split()) for name in names] == [
        " ".join(HOSTILE[model].split()) for model in HOSTILE if "pico" in model
    ]
    assert one.page.locator("script").count() == 3
    assert one.page.locator("img, iframe, object, b, svg[onload], [onerror]").count() == 0
    assert HOSTILE["pico-0.1m"] in one.page.locator("[data-chart] svg").first.text_content()
    assert "<b>run & 'folder'" in one.page.locator("footer h3").inner_text()


def test_a_script_that_slipped_in_would_not_run(browser: Browser, runs: dict[str, rs.Run], tmp_path: Path) -> None:
    """The second wall: the page's policy lets only its own two scripts run, and no address be opened."""
    file = save_page(build_report(runs["single"]), tmp_path / "report.html")
    slipped = "<script>alert('ran')</script><img src='http://127.0.0.1:9/x.png'>"
    page, end, rest = file.read_text(encoding="utf-8").rpartition("</body>")
    file.write_text(f"{page}{slipped}{end}{rest}", encoding="utf-8")
    one = opened(browser, file)
    assert len(one.complaints) >= 2
    assert all("Content Security Policy" in complaint for complaint in one.complaints)
    assert "ran" not in one.complaints
