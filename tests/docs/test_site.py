"""The documentation site builds without a warning, and every page and name is in it."""

from __future__ import annotations

from pathlib import Path

import pytest

import rankscope
from processes import started, wait_for

DOCS = Path(__file__).parents[2] / "docs"


def build(target: Path) -> None:
    """In a process of its own: Sphinx changes settings of the whole process."""
    from sphinx.cmd.build import main

    raise SystemExit(main(["-q", "-W", "--keep-going", "-d", str(target / "trees"), str(DOCS), str(target / "site")]))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("docs")
    with started(build, folder, log=folder / "log") as process:
        status = wait_for(process)
    assert status == 0, (folder / "log").read_text()
    return folder / "site"


@pytest.mark.slow
def test_each_page_is_there_for_people_and_for_programs(site: Path) -> None:
    pages = [page.relative_to(DOCS) for page in DOCS.rglob("*.md")]
    assert len(pages) > 25
    for page in pages:
        assert (site / page.with_suffix(".html")).is_file()
        assert (site / page).read_text(encoding="utf-8") == (DOCS / page).read_text(encoding="utf-8")


@pytest.mark.slow
def test_each_public_name_is_in_the_reference(site: Path) -> None:
    reference = (site / "api.html").read_text(encoding="utf-8")
    missing = [name for name in rankscope.__all__ if f'id="rankscope.{name}"' not in reference]
    assert not missing


@pytest.mark.slow
def test_search_needs_no_server(site: Path) -> None:
    """Its index is a script that the page loads, which browsers allow for files."""
    assert "Search.setIndex" in (site / "searchindex.js").read_text(encoding="utf-8")[:40]
    assert 'src="searchindex.js"' in (site / "search.html").read_text(encoding="utf-8")
