from __future__ import annotations

import json
from pathlib import Path

import pytest

import rankscope as rs
from rankscope.cli import main

pytestmark = pytest.mark.slow


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as exit_:
        main([str(argument) for argument in arguments])
    return int(exit_.value.code or 0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("runs") / "pico"
    rs.evaluate(["pico-0.1m", "pico@step-0"], "stdlib-docs", output=place, limit=4, device="cpu")
    return place


def test_the_page_the_tables_and_the_figures(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page, tables, figures = tmp_path / "new" / "x.html", tmp_path / "tables", tmp_path / "figures"
    assert run("report", folder, "--output", page, "--tables", tables, "--figures", figures) == 0
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "pico-0.1m, pico@step-0 on stdlib-docs" in page.read_text(encoding="utf-8")
    names = {file.name for file in [*tables.iterdir(), *figures.iterdir()]}
    assert {"summary.tex", "summary.csv", "differences.md", "spectra.svg", "spectra.pdf", "spectra.png"} <= names
    assert captured.err.count("wrote ") == len(names) + 1


def test_without_options_all_tables_are_printed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("report", folder) == 0
    out = capsys.readouterr().out
    (one, _) = json.loads((folder / "summary.json").read_text())["rows"]
    assert f"{one['effective_rank_untrained']:.2f} → {one['effective_rank']:.2f}" in out
    assert "Models compared on stdlib-docs" in out
    assert "note few-texts" in out


def test_a_model_card(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("report", folder, "--model-card") == 0
    assert capsys.readouterr().out.startswith("---\n")


def test_one_line_where_the_call_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("report", tmp_path, "--output", tmp_path / "x.html") == 2
    assert "is not a run folder" in capsys.readouterr().err
    assert run("report") == 2
    assert not (tmp_path / "x.html").exists()


def test_help_has_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("report", "--help") == 0
    assert "rankscope report runs/mine --output report.html" in capsys.readouterr().out


def test_exports_for_other_tools(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shared, harness = tmp_path / "shared", tmp_path / "harness"
    assert run("report", folder, "--every-eval-ever", shared, "--lm-eval", harness) == 0
    captured = capsys.readouterr()
    assert captured.out == ""
    files = [*shared.glob("data/rankscope/local/*/*.json"), *harness.glob("*/results_*.json")]
    assert len(files) == 4
    assert captured.err.count("wrote ") == 4
    assert run("report", folder, "--lm-eval", files[0]) == 2
    assert "lm-eval must be a folder" in capsys.readouterr().err
