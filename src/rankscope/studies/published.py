"""The numbers printed in the papers, for comparison."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl

from rankscope.errors import UnknownNameError
from rankscope.models import known_model

_FILE = Path(__file__).with_name("published.toml")
_KEYS = ("family", "models")
_VISION_LANGUAGE = {"llava-hf/llava-1.5-7b": "llava-1.5", "minigpt-v2=": "minigpt-v2"}
_ALIGNMENT_KEYS = (*(f"erank{place}" for place in range(1, 6)), "image_reduction_ratio", "image_text_alignment")
PAPERS = {"diff_erank": "arXiv 2401.17139", "mnn": "arXiv 2410.10672"}


def printed(table: str, model: str, *path: str) -> float | None:
    """The value that a table prints for a model, or None.

    Args:
        table: `paper.table`, such as `diff_erank.table6`.
        model: A model reference; only the hub ids of the table's own models have printed values.
        path: Path of a column in the table, such as `("dolly-15k", "diff_erank")`.
    """
    content = _table(table)
    known = known_model(model)
    if known is None or "@" in model or known.family != content.get("family"):
        return None
    values: Any = content
    for part in path:
        values = values.get(part, {})
    if known.label not in content["models"] or not values:
        return None
    return float(values[content["models"].index(known.label)])


def first_printed(tables: tuple[str, ...], model: str, *path: str) -> float | None:
    """The value from the first of several tables that prints one for a model, or None."""
    return next((value for table in tables if (value := printed(table, model, *path)) is not None), None)


def alignment_printed(table: str, model: str, column: str) -> dict[str, float | None]:
    """The five effective ranks and two ratios that a table prints for a vision-language model, by key; may be empty.

    Args:
        table: `diff_erank.table2` (by model and data set) or `diff_erank.table3` (LLaVA-1.5, by condition).
        model: A model reference.
        column: The data set or the condition.
    """
    called = next((name for start, name in _VISION_LANGUAGE.items() if model.startswith(start)), None)
    content: dict[str, Any] = _table(table)
    values = content.get(called, {}) if called in content else content if called == "llava-1.5" else {}
    return dict(zip(_ALIGNMENT_KEYS, values.get(column, ()), strict=False))


def printed_tables(tables: tuple[str, ...]) -> pl.DataFrame:
    """All printed values of the tables in long format: source, table, family, model, column, value."""
    rows = [
        {
            "source": PAPERS[table.partition(".")[0]],
            "table": table.partition(".")[2],
            "family": _table(table).get("family"),
            "model": _label(_table(table), place),
            "column": column,
            "value": float(value),
        }
        for table in tables
        for column, values in _columns(_table(table))
        for place, value in enumerate(values)
    ]
    schema = dict.fromkeys(("source", "table", "family", "model", "column"), pl.String)
    return pl.DataFrame(rows, schema=schema | {"value": pl.Float64})


@cache
def _published() -> dict[str, Any]:
    return tomllib.loads(_FILE.read_text(encoding="utf-8"))


def _table(name: str) -> dict[str, Any]:
    paper, _, table = name.partition(".")
    tables = {f"{one}.{two}": content for one, two_level in _published().items() for two, content in two_level.items()}
    if name not in tables:
        raise UnknownNameError("published table", name, tables)
    content: dict[str, Any] = _published()[paper][table]
    return content


def _columns(content: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, list[float]]]:
    for key, value in content.items():
        if isinstance(value, dict):
            yield from _columns(value, f"{prefix}{key}.")
        elif key not in _KEYS and not isinstance(value, str):
            numbers = value if isinstance(value, list) else [value]
            if all(isinstance(number, (int, float)) for number in numbers):
                yield prefix + key, numbers


def _label(content: dict[str, Any], place: int) -> str | None:
    labels = content.get("models") or content.get("stages")
    return str(labels[place]) if labels and place < len(labels) else None
