"""One version everywhere."""

from __future__ import annotations

from pathlib import Path

import rankscope

ROOT = Path(__file__).parents[1]


def test_changelog_and_citation_are_of_this_version() -> None:
    assert f"\n## {rankscope.__version__} (" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"\nversion: {rankscope.__version__}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
