"""Phrases of the word list that are not used: they read as translated."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
BANNED = re.compile(
    r"so-manieth|not as usual|\bat hand\b|but who reads|say of how many|can(?:not)? be had\b|\bwhoever\b|\bsomebody\b"
    r"|\bnobody\b|models and text that are inside|\blets go of\b|\bof whatever\b|\bfor whom\b|\bthereof\b"
    r"|\bhas to be had\b|\bas good as the text\b",
    re.IGNORECASE,
)


def texts() -> dict[Path, str]:
    files = [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "recipes").rglob("*.md"),
        *(ROOT / "benchmarks").glob("*.md"),
        *(ROOT / "src").rglob("*.py"),
    ]
    return {file.relative_to(ROOT): file.read_text(encoding="utf-8") for file in files}


def test_phrases_that_nobody_says_do_not_occur() -> None:
    found = texts()
    contributing = Path("CONTRIBUTING.md")
    found[contributing] = re.sub(r"\n## Words\n.*?(?=\n## |\Z)", "\n", found[contributing], flags=re.DOTALL)
    assert len(found) > 300
    faults = [
        f"{file}: {line.strip()}" for file, text in found.items() for line in text.splitlines() if BANNED.search(line)
    ]
    assert faults == []
