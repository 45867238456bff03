"""The checks of `house.py` catch what is planted, form by form, and let pass what is right."""

from __future__ import annotations

from pathlib import Path

import pytest

import house


def planted(folder: Path, files: dict[str, str]) -> Path:
    """A package `rankscope` of three floors, of which `models` may import `metrics` and `cli` everything."""
    source = folder / "rankscope"
    for name in ("__init__.py", "errors.py", "metrics/__init__.py", "models/__init__.py", "cli/__init__.py"):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).touch()
    for name, text in files.items():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text(text)
    return source


THREE = {"metrics": set(), "models": {"metrics"}, "cli": {"metrics", "models"}}


@pytest.mark.parametrize(
    ("file", "code"),
    [
        ("models/a.py", "import rankscope.cli"),
        ("models/a.py", "import rankscope.cli as c"),
        ("models/a.py", "import json, rankscope.cli.main as c"),
        ("models/a.py", "import rankscope"),
        ("models/a.py", "import rankscope as rs"),
        ("models/a.py", "from rankscope import cli"),
        ("models/a.py", "from rankscope import errors, cli"),
        ("models/a.py", "from rankscope import evaluate"),
        ("models/a.py", "from rankscope import *"),
        ("models/a.py", "from rankscope.cli import main"),
        ("models/a.py", "from rankscope.cli.main import main"),
        ("models/a.py", "from .. import cli"),
        ("models/a.py", "from .. import evaluate"),
        ("models/a.py", "from ..cli import main"),
        ("models/a.py", "from ..cli.main import main"),
        ("models/__init__.py", "from ..cli import main"),
        ("models/deep/__init__.py", "from ...cli import main"),
        ("models/deep/a.py", "from ...cli import main"),
        ("models/a.py", "def late():\n    from rankscope import cli"),
        ("models/a.py", "class A:\n    import rankscope.cli as c"),
        ("models/a.py", "try:\n    pass\nfinally:\n    from ..cli import main"),
        ("models/a.py", "if TYPE_CHECKING:\n    from rankscope.cli import main"),
        ("models/a.py", "from importlib import import_module\nimport_module('rankscope.cli')"),
        ("models/a.py", "import importlib\nimportlib.import_module('rankscope.cli.main')"),
        ("models/a.py", "__import__('rankscope.cli')"),
        ("metrics/a.py", "from rankscope import models"),
        ("errors.py", "from rankscope import metrics"),
        ("errors.py", "from .metrics import a"),
        ("errors.py", "import rankscope"),
        ("unknown/a.py", "from rankscope.metrics import a"),
    ],
)
def test_an_import_that_goes_up_is_caught(tmp_path: Path, file: str, code: str) -> None:
    faults = house.broken_walls(planted(tmp_path, {"cli/main.py": "", file: code}), THREE)
    assert faults
    assert all(fault.startswith(f"{file}:") for fault in faults)


@pytest.mark.parametrize(
    ("file", "code"),
    [
        ("models/a.py", "from rankscope import metrics, errors, __version__"),
        ("models/a.py", "import rankscope.metrics as m"),
        ("models/a.py", "from ..metrics import a\nfrom ..errors import b\nfrom . import c\nfrom .c import d"),
        ("models/deep/a.py", "from . import cli\nfrom ..a import cli"),
        ("models/a.py", "import cli\nfrom cli import main\nimport rankscopes.cli"),
        ("cli/a.py", "import rankscope\nfrom rankscope import evaluate, models"),
        ("errors.py", "def late():\n    from rankscope.models import a"),
        ("errors.py", "if TYPE_CHECKING:\n    from rankscope.models import a"),
        ("errors.py", "from rankscope.names import a"),
        ("__main__.py", "from rankscope.cli import main"),
    ],
)
def test_an_import_that_goes_down_is_no_fault(tmp_path: Path, file: str, code: str) -> None:
    files = {"models/a.py": "", "models/c.py": "", "names.py": "", file: code}
    assert house.broken_walls(planted(tmp_path, files), THREE) == []


@pytest.mark.parametrize(
    "files",
    [
        {"models/a.py": "from rankscope.models.b import x", "models/b.py": "from . import a"},
        {"models/a.py": "import rankscope.models.a"},
        {"models/a.py": "from .b import x", "models/b.py": "from .c import x", "models/c.py": "from .a import x"},
        {"models/__init__.py": "from .a import x", "models/a.py": "from rankscope.models import y"},
        # Importing a module runs its package first.
        {"models/a.py": "from ..metrics.b import x", "metrics/__init__.py": "import rankscope.models.a as y"},
    ],
)
def test_a_circle_of_imports_is_caught(tmp_path: Path, files: dict[str, str]) -> None:
    circle = {f"rankscope.{file.removesuffix('.py').replace('/', '.').removesuffix('.__init__')}" for file in files}
    assert set(house.import_circle(planted(tmp_path, {"metrics/b.py": ""} | files))) == circle


@pytest.mark.parametrize(
    "second",
    [
        "def late():\n    from rankscope.models.a import x",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from .a import x",
        "import typing\nif typing.TYPE_CHECKING:\n    import rankscope.models.a as y",
        "from rankscope.metrics import x",
    ],
)
def test_what_does_not_run_at_import_is_no_circle(tmp_path: Path, second: str) -> None:
    files = {"models/__init__.py": "from .a import x", "models/a.py": "from .b import x", "models/b.py": second}
    assert house.import_circle(planted(tmp_path, files)) == []


def test_what_is_too_long_is_caught(tmp_path: Path) -> None:
    files = {
        "models/fits.py": "def fits():\n" + "    pass\n" * 59 + "\n" * 240,
        "models/function.py": "class A:\n    async def over(self):\n" + "        pass\n" * 60,
        "models/deep/file.py": "\n" * 301,
    }
    assert house.too_long(planted(tmp_path, files)) == {"models/function.py:over": 61, "models/deep/file.py": 301}


def test_what_does_not_mirror_is_caught(tmp_path: Path) -> None:
    source = planted(tmp_path, {"metrics/a.py": "", "models/deep/b.py": "", "models/c.py": "", "models/d.py": ""})
    tests = tmp_path / "tests"
    for name in ("test_errors.py", "test_all.py", "metrics/test_a.py", "models/test_c.py", "models/deep/test_e.py"):
        (tests / name).parent.mkdir(parents=True, exist_ok=True)
        (tests / name).touch()
    assert house.unmirrored(source, tests, {}) == [
        "models/d.py has no models/test_d.py",
        "models/deep/b.py has no models/deep/test_b.py",
        "models/deep/test_e.py mirrors no module",
    ]
    assert house.unmirrored(source, tests, {"models/deep/test_e.py": ("models/d.py", "models/deep/b.py")}) == []
    exceptions = {"models/deep/test_e.py": ("models/d.py", "models/deep/b.py", "models/c.py"), "test_z.py": ("z.py",)}
    assert house.unmirrored(source, tests, exceptions) == [
        "test_z.py is no test",
        "z.py is no module",
        "models/c.py has a test of its own by now",
    ]
