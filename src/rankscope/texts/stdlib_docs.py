"""Prose from the docstrings of Python's standard library: real text that is available on every machine.

Sources are parsed, not imported. Files are ordered by a hash of their names, so that the first hundred texts come from
many modules. The texts depend on the version of Python.
"""

from __future__ import annotations

import ast
import hashlib
import os
import platform
import sysconfig
from collections.abc import Iterator
from pathlib import Path

from rankscope.errors import DataError
from rankscope.texts.rows import LocatedRow

_NO_LIBRARY = {"test", "tests", "idle_test", "idlelib", "lib2to3", "site-packages", "turtledemo", "__pycache__"}
_SHORTEST, _LONGEST = 400, 1200  # characters of a text
_LETTERS = 0.9  # minimum share of letters and spaces in prose; code and tables have less


def describe_stdlib_docs() -> str:
    """A description of the source, with Python's version."""
    return f"docstrings of the standard library of Python {platform.python_version()}"


def read_stdlib_docs() -> Iterator[LocatedRow]:
    """Rows `{"id": "json/decoder.py:JSONDecoder:0", "text": passage}`, without duplicates.

    Raises:
        DataError: this Python was installed without the sources of its standard library.
    """
    root = Path(sysconfig.get_path("stdlib"))
    library = list(_sources(root))
    if not library:
        raise DataError(f"no sources of the standard library in {root}: this Python was installed without them")
    seen: set[str] = set()
    for file in sorted(library, key=lambda file: hashlib.sha256(file.as_posix().encode()).digest()):
        for name, docstring in _docstrings(root / file):
            for number, passage in enumerate(passages(docstring)):
                if passage not in seen:
                    seen.add(passage)
                    where = f"{file.as_posix()}:{name}:{number}"
                    yield LocatedRow(where, {"id": where, "text": passage})


def _sources(root: Path) -> Iterator[Path]:
    """Files relative to the root; skips folders that are not part of the library, such as installed packages."""
    for folder, inner, names in os.walk(root):
        inner[:] = [name for name in inner if name not in _NO_LIBRARY]
        yield from (Path(folder, name).relative_to(root) for name in names if name.endswith(".py"))


def passages(docstring: str) -> Iterator[str]:
    """Adjacent paragraphs of prose, joined into passages of 400 to 1,200 characters."""
    passage = ""
    for paragraph in docstring.split("\n\n"):
        joined = f"{passage}\n\n{paragraph}" if passage else paragraph
        if _is_prose(paragraph) and len(joined) <= _LONGEST:
            passage = joined
            continue
        if len(passage) >= _SHORTEST:
            yield passage
        passage = paragraph if _is_prose(paragraph) and len(paragraph) <= _LONGEST else ""
    if len(passage) >= _SHORTEST:
        yield passage


def _is_prose(paragraph: str) -> bool:
    plain = sum(character.isalpha() or character.isspace() for character in paragraph)
    return ">>>" not in paragraph and plain >= _LETTERS * len(paragraph)


def _docstrings(file: Path) -> Iterator[tuple[str, str]]:
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError):  # templates and samples that are not Python
        return
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            docstring = ast.get_docstring(node)
            if docstring and len(docstring) >= _SHORTEST:
                yield getattr(node, "name", "module"), docstring
