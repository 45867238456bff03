from __future__ import annotations

import csv
from pathlib import Path
from xml.etree import ElementTree

import pytest
from pylatexenc.latexwalker import LatexWalker

import rankscope as rs
from rankscope.errors import StorageError
from rankscope.reports import build_report, save_figures, save_page, save_tables

pytestmark = pytest.mark.slow


def test_every_table_and_every_figure_of_every_kind(runs: dict[str, rs.Run], alignment: rs.Run, tmp_path: Path) -> None:
    report = build_report(runs["sizes"], runs["training"], alignment)
    tables = save_tables(report, tmp_path / "tables")
    assert {file.stem for file in tables} == set(report.tables())
    assert len(tables) == 3 * len(report.tables())
    for file in tables:
        text = file.read_text(encoding="utf-8")
        if file.suffix == ".tex":
            LatexWalker(text, tolerant_parsing=False).get_latex_nodes()
            assert text.count(r"\toprule") == text.count(r"\midrule") == text.count(r"\bottomrule") == 1
        elif file.suffix == ".csv":
            heading, *rows = csv.reader(text.splitlines())
            assert len(rows) == len(report.tables()[file.stem].rows)
            assert {len(row) for row in rows} == {len(heading)}
        else:
            assert text.startswith("| ")
    figures = save_figures(report, tmp_path / "figures", ("svg", "pdf"))
    assert {file.stem for file in figures} == set(report.figures())
    for file in figures:
        if file.suffix == ".svg":
            drawing = ElementTree.fromstring(file.read_text(encoding="utf-8"))
            words = " ".join(text for text in drawing.itertext())
            assert report.figures()[file.stem].title in words
            assert "n = " in words
        else:
            assert file.read_bytes().startswith(b"%PDF")


def test_a_place_that_cannot_be_written(runs: dict[str, rs.Run], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="could not write"):
        save_page(build_report(runs["single"]), tmp_path / "file" / "report.html")
