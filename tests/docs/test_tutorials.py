"""Code that the documentation marks as runnable is run as it is printed."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from processes import run_command, script, started, wait_for

DOCS = Path(__file__).parents[2] / "docs"
NOTEBOOK = DOCS / "tutorials" / "notebook.ipynb"
RUNNABLE = re.compile(r"<!-- run -->\n```(bash|python)\n(.*?)```", re.DOTALL)
PAGES = sorted(page for page in DOCS.rglob("*.md") if RUNNABLE.search(page.read_text(encoding="utf-8")))


def test_every_tutorial_has_code_that_is_run() -> None:
    assert {page.name for page in PAGES} >= {"getting-started.md", *(page.name for page in DOCS.glob("tutorials/*.md"))}


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_blocks_of_a_page_run_one_after_the_other(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for number, (language, code) in enumerate(RUNNABLE.findall(page.read_text(encoding="utf-8"))):
        if language == "python":
            _run_python(code, tmp_path / f"block_{number}.py")
            continue
        for line in code.replace("\\\n", " ").splitlines():
            program, *arguments = shlex.split(line, comments=True)
            assert program == "rankscope", line
            ended = run_command(tmp_path, *arguments)
            assert ended.status == 0, ended.stderr.decode()


def _run_python(code: str, file: Path) -> None:
    file.write_text(code, encoding="utf-8")
    log = file.with_suffix(".log")
    with started(script, file, log=log) as process:
        assert wait_for(process) == 0, log.read_text()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of Jupyter's own libraries
def test_the_notebook_runs_and_shows_what_it_shows(tmp_path: Path) -> None:
    printed = nbformat.read(NOTEBOOK, as_version=4)
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    kinds = [[_kinds(cell) for cell in one.cells if cell.cell_type == "code"] for one in (printed, notebook)]
    assert kinds[0] == kinds[1]
    assert {"text/html"} in kinds[1]
    assert {"image/png"} in kinds[1]


def _kinds(cell: nbformat.NotebookNode) -> set[str]:
    """What a cell shows, apart from the plain text that everything has."""
    return {kind for output in cell.outputs for kind in output.get("data", {})} - {"text/plain"}
