"""The structure: data goes from the bottom floor to the top, and importing is light."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import rankscope

SOURCE = Path(rankscope.__file__).parent
FLOORS = ("metrics", "texts", "statistics", "tables", "models", "integrations", "runs", "studies", "reports", "cli")
MAY_IMPORT = {
    "metrics": set(),
    "texts": set(),
    "statistics": {"metrics"},
    "tables": {"metrics", "statistics"},
    "models": {"metrics"},
    "runs": {"metrics", "texts", "statistics", "tables", "models"},
    "integrations": {"metrics", "models", "texts"},
    "studies": {"metrics", "texts", "statistics", "tables", "models", "runs", "integrations"},
    "reports": {"metrics", "statistics", "tables", "runs", "studies"},
    "cli": set(FLOORS),
}


def imports(file: Path) -> set[str]:
    """The floors that a file imports, at whatever depth in its code."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
        elif isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
    return {name.split(".")[1] for name in names if name.startswith("rankscope.")} & set(FLOORS)


@pytest.mark.parametrize("floor", MAY_IMPORT)
def test_a_floor_imports_only_what_lies_below(floor: str) -> None:
    files = sorted((SOURCE / floor).rglob("*.py"))
    assert files
    for file in files:
        assert imports(file) <= MAY_IMPORT[floor] | {floor}, file


def test_every_folder_is_a_known_floor() -> None:
    folders = {path.name for path in SOURCE.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert folders == set(MAY_IMPORT)


COVERS_SEVERAL = {"test_every_class.py", "test_readings.py"}
"""Tests of what several modules do together."""


def test_tests_mirror_the_source() -> None:
    tests = Path(__file__).parent
    for folder in (path for path in tests.iterdir() if (SOURCE / path.name).is_dir()):
        for file in folder.glob("test_*.py"):
            if file.name in COVERS_SEVERAL:
                continue
            assert (SOURCE / folder.name / file.name.removeprefix("test_")).exists(), file


def modules_after(code: str) -> set[str]:
    listing = subprocess.run(
        [sys.executable, "-c", f"{code}; import sys; print(*sys.modules)"], capture_output=True, text=True, check=True
    )
    return set(listing.stdout.split())


def test_importing_the_library_is_light() -> None:
    assert not {"torch", "transformers", "datasets", "polars"} & modules_after("import rankscope")


def test_the_metrics_need_torch_alone() -> None:
    assert not {"transformers", "datasets", "polars"} & modules_after("import rankscope; rankscope.effective_rank")


def test_help_does_not_import_torch() -> None:
    code = "import rankscope.cli\ntry: rankscope.cli.main(['--help'])\nexcept SystemExit: pass\nimport sys; "
    code += "print(*sys.modules)"
    listing = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "transformers", "datasets", "polars"} & set(listing.stdout.split())
    assert "evaluate" in listing.stdout


def test_the_table_of_contents_is_complete() -> None:
    assert set(rankscope._HOME) == set(rankscope.__all__)
    for name in rankscope.__all__:
        assert getattr(rankscope, name).__name__ == name
    assert set(rankscope.__all__) < set(dir(rankscope))
    with pytest.raises(AttributeError, match="no attribute 'efective_rank'"):
        rankscope.efective_rank  # noqa: B018
