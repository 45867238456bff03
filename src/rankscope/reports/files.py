"""Writes a report to files: its page, tables and figures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from rankscope.atomic import write_text
from rankscope.names import utf8
from rankscope.reports.figures import Format, save_figure
from rankscope.reports.html_page import render_page
from rankscope.runs import file_at
from rankscope.tables import to_csv, to_latex, to_markdown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rankscope.reports.report import Report
    from rankscope.runs import Place

TABLE_FORMATS = {"md": to_markdown, "tex": to_latex, "csv": to_csv}


def save_page(report: Report, place: Place) -> Place:
    """Writes a report as one self-contained HTML file.

    Args:
        report: the report to write.
        place: the file's path, or its address in an object store.

    Returns:
        The place.

    Raises:
        SettingsError: the address cannot be used.
        StorageError: the file could not be written.
    """
    storage, name = file_at(place)
    storage.write(name, utf8(render_page(report)))
    return place


def save_tables(report: Report, folder: str | Path) -> list[Path]:
    """Writes every table of a report as Markdown, LaTeX and CSV.

    Raises:
        StorageError: a file could not be written.
    """
    return [
        _write(Path(folder) / f"{name}.{suffix}", written(table))
        for name, table in report.tables().items()
        for suffix, written in TABLE_FORMATS.items()
    ]


def save_figures(report: Report, folder: str | Path, formats: Sequence[Format] = ("svg", "png", "pdf")) -> list[Path]:
    """Writes every figure of a report.

    Raises:
        StorageError: a file could not be written.
    """
    return [
        file
        for name, figure in report.figures().items()
        for file in save_figure(figure.chart, Path(folder) / name, formats)
    ]


def save_records(records: Mapping[str, object], folder: str | Path) -> list[Path]:
    """Writes each record as a JSON file at its path below a folder.

    Raises:
        StorageError: a file could not be written.
    """
    return [
        _write(Path(folder) / path, json.dumps(record, indent=2, allow_nan=False, ensure_ascii=False) + "\n")
        for path, record in records.items()
    ]


def _write(file: Path, text: str) -> Path:
    write_text(file, text)
    return file
