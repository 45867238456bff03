"""What keeps the house in order: imports that go one way and in no circle, files of one size, tests that mirror.

Each check takes a folder of source, so that tests can plant what must be caught, and returns one line for each fault.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

LONGEST_FILE, LONGEST_FUNCTION = 300, 60


@dataclass(frozen=True)
class Import:
    """One import: the file and line where it stands, and the full name of the module that it brings."""

    file: Path
    line: int
    module: str
    at_import: bool
    """Whether it runs when the file itself is imported: not inside a function, nor for type checkers only."""

    def __str__(self) -> str:
        return f"{self.file}:{self.line} imports {self.module}"


def broken_walls(source: Path, may_import: Mapping[str, Collection[str]]) -> list[str]:
    """Imports of floors that a floor may not import, at whatever depth of the code.

    A file outside the floors is open to all of them, so it may import one only inside a function. The package's table
    of contents leads to every floor, so only a floor that may import all others takes anything from it.
    """
    faults = []
    for one in imports(source):
        if one.file == Path("__main__.py"):  # starts the program
            continue
        floor = one.file.parts[0] if len(one.file.parts) > 1 else None
        _, _, inside = one.module.partition(".")
        target = inside.split(".")[0]
        is_floor = (source / target).is_dir()
        if floor is None:
            allowed = not one.at_import or bool(target and not is_floor)
        elif not target:
            allowed = set(may_import) - {floor} <= set(may_import.get(floor, ()))
        else:
            allowed = not is_floor or target == floor or target in may_import.get(floor, ())
        if not allowed:
            faults.append(str(one))
    return faults


def import_circle(source: Path) -> list[str]:
    """The modules of a circle of imports that run at import, in order; none where there is no circle."""
    leads_to: dict[str, set[str]] = {_module_name(file, source): set() for file, _ in _trees(source)}
    for one in imports(source):
        name = _module_name(one.file, source)
        if one.at_import:  # importing a module runs the packages around it first, unless they are under way
            around = _packages_around(one.module) - _packages_around(f"{name}.x")
            leads_to[name] |= {one.module, *around} & set(leads_to)
    try:
        TopologicalSorter(leads_to).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def too_long(source: Path) -> dict[str, int]:
    """Files and functions with more lines than they may have: `folder/file.py` or `folder/file.py:function`."""
    found = {}
    for file, tree in _trees(source):
        lines = len((source / file).read_text(encoding="utf-8").splitlines())
        if lines > LONGEST_FILE:
            found[str(file)] = lines
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno is not None:
                length = node.end_lineno - node.lineno + 1
                if length > LONGEST_FUNCTION:
                    found[f"{file}:{node.name}"] = length
    return found


def unmirrored(source: Path, tests: Path, covers: Mapping[str, Collection[str]]) -> list[str]:
    """Modules without a test at the mirrored path, tests without a module, and exceptions that are none.

    Args:
        source: the package's folder.
        tests: the folder of tests.
        covers: tests of what several modules do together, with those modules that have no test of their own.
    """
    floors = {path.name for path in source.iterdir() if path.is_dir()}
    modules = {str(file) for file, _ in _trees(source) if not file.name.startswith("__")}
    found = {str(file.relative_to(tests)) for file in tests.rglob("test_*.py")}
    mirrored = {module for module in modules if _test_of(module) in found}
    covered = {module for several in covers.values() for module in several}
    astray = {test for test in found - {_test_of(module) for module in modules} if Path(test).parts[0] in floors}
    return [
        *(f"{module} has no {_test_of(module)}" for module in sorted(modules - mirrored - covered)),
        *(f"{test} mirrors no module" for test in sorted(astray - set(covers))),
        *(f"{test} is no test" for test in sorted(set(covers) - found)),
        *(f"{module} is no module" for module in sorted(covered - modules)),
        *(f"{module} has a test of its own by now" for module in sorted(covered & mirrored)),
    ]


def imports(source: Path) -> Iterator[Import]:
    """What the files of a package import of the package itself, whatever the form; `file` is relative to it."""
    for file, tree in _trees(source):
        late = _late(tree)
        here = _module_name(file, source)
        package = here if file.name == "__init__.py" else here.rpartition(".")[0]
        for node in ast.walk(tree):
            for module in _brought(node, package, source):
                if module.split(".")[0] == source.name:
                    yield Import(file, getattr(node, "lineno", 0), module, node not in late)


def _brought(node: ast.AST, package: str, source: Path) -> Iterator[str]:
    """Full names of the modules that a node imports; a name that is no module counts as the module it is taken from."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield alias.name
            if alias.asname is None:  # binds the package, and with it all that anybody has imported
                yield alias.name.split(".")[0]
    elif isinstance(node, ast.ImportFrom):
        above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
        base = ".".join([*above, *(node.module or "").split(".")]).rstrip(".")
        for alias in node.names:
            if (base, alias.name) != (source.name, "__version__"):
                yield f"{base}.{alias.name}" if _exists(f"{base}.{alias.name}", source) else base
    elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("import_module", "__import__")):
        yield from (one.value for one in node.args[:1] if isinstance(one, ast.Constant) and isinstance(one.value, str))


def _late(tree: ast.AST) -> set[ast.AST]:
    """Nodes that do not run when the file is imported: inside functions, and for type checkers only."""
    found: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            found.update(ast.walk(node))
        elif isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            found.update(inner for statement in node.body for inner in ast.walk(statement))
    return found


def _trees(source: Path) -> Iterator[tuple[Path, ast.AST]]:
    for file in sorted(source.rglob("*.py")):
        yield file.relative_to(source), ast.parse(file.read_text(encoding="utf-8"))


def _module_name(file: Path, source: Path) -> str:
    parts = file.with_suffix("").parts
    return ".".join((source.name, *(parts[:-1] if parts[-1] == "__init__" else parts)))


def _exists(module: str, source: Path) -> bool:
    place = source.parent.joinpath(*module.split("."))
    return place.is_dir() or place.with_name(f"{place.name}.py").is_file()


def _packages_around(module: str) -> set[str]:
    parts = module.split(".")
    return {".".join(parts[:end]) for end in range(1, len(parts))}


def _test_of(module: str) -> str:
    return str(Path(module).with_name(f"test_{Path(module).name}"))
