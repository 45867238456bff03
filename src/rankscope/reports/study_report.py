"""The files of a study: its table in three formats, its figure in two, a paragraph, and the published values."""

from __future__ import annotations

import html
import json
from dataclasses import asdict, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from rankscope.names import utf8
from rankscope.reports.charts.study import study_figure
from rankscope.reports.figures import save_figure
from rankscope.runs import storage_of
from rankscope.studies import printed_tables
from rankscope.tables import Column, Table, column, short_name, short_names, to_latex, to_markdown
from rankscope.words import in_a_list

if TYPE_CHECKING:
    import polars as pl

    from rankscope.studies import Conducted


def study_table(conducted: Conducted) -> Table:
    """The study's columns that have values, each followed by the published values if there are any."""
    table = conducted.findings.table
    keys = [*conducted.study.columns]
    if conducted.request.options.leaderboard_column:
        keys.append(conducted.request.options.leaderboard_column)
    if "layer" in table.columns and "layer" not in keys and set(table["layer"]) != {"last"}:
        keys.insert(2, "layer")
    columns = []
    for key in keys:
        if key in table.columns and table[key].null_count() < table.height:
            columns.append(_column(key, table))
            if f"{key}_published" in table.columns:
                published = replace(_column(key, table), key=f"{key}_published", heading="published", before=None)
                columns.append(published)
    return Table(tuple(columns), tuple(table.rows(named=True)))


def plain_table(frame: pl.DataFrame) -> Table:
    """A study's additional table with all of its columns."""
    return Table(tuple(_column(key, frame) for key in frame.columns), tuple(frame.rows(named=True)))


def study_paragraph(conducted: Conducted) -> str:
    """The question, models and data, then the findings and the notes that fired, as one paragraph."""
    study, findings, request = conducted.study, conducted.findings, conducted.request
    asked = (
        f"{study.question} ({study.source}.) Models and data: {in_a_list([*short_names(request.models).values()])} on "
    )
    asked += f"{in_a_list([short_name(data.partition('=')[0]) for data in request.data])}"
    limit, seed = request.settings.limit, request.settings.sample_seed
    if seed is not None:
        asked += f", texts drawn at random with seed {seed}" + (f", at most {limit:,}" if limit else "")
    elif limit:
        asked += f", at most the first {limit:,} usable texts"
    asked += "."
    notes = [f"{note.name} ({note.text})" for note in findings.notes]
    fired = f"Notes that fired: {'; '.join(notes)}." if notes else "No notes fired."
    return " ".join([asked, *findings.sentences, fired])


def write_study(conducted: Conducted) -> tuple[str, ...]:
    """Writes all files to the study's folder or address, replacing those of an earlier run.

    Returns:
        The names of the files. The figure is omitted if none of its values could be computed.

    Raises:
        StorageError: a file could not be written.
    """
    storage, findings = storage_of(conducted.request.folder), conducted.findings
    table = study_table(conducted)
    files = {
        "table.csv": findings.table.write_csv(),
        "table.md": to_markdown(table),
        "table.tex": to_latex(table),
        "paragraph.md": html.escape(study_paragraph(conducted), quote=False) + "\n",
    }
    for name, frame in findings.more.items():
        files |= {f"{name}.csv": frame.write_csv(), f"{name}.md": to_markdown(plain_table(frame))}
    if conducted.study.published:
        files["published.csv"] = printed_tables(conducted.study.published).write_csv()
    files["study.json"] = json.dumps(study_content(conducted), indent=2, allow_nan=False, ensure_ascii=False) + "\n"
    storage.prepare()
    for name, text in files.items():
        storage.write(name, utf8(text))
    chart = study_figure(conducted)
    if chart is None:
        return (*files, *findings.files)
    with TemporaryDirectory() as here:
        figures = save_figure(chart, Path(here) / "figure", ("svg", "html"))
        for file in figures:
            storage.write(file.name, file.read_bytes())
    return (*files, *findings.files, *(file.name for file in figures))


def study_content(conducted: Conducted) -> dict[str, object]:
    """A study's result as JSON: schema, rows, sentences, notes and additional tables."""
    findings = conducted.findings
    return {
        "schema": 1,
        "study": conducted.study.name,
        "question": conducted.study.question,
        "source": conducted.study.source,
        "models": list(conducted.request.models),
        "data": list(conducted.request.data),
        "settings": conducted.request.settings.identity,
        "rows": findings.table.rows(named=True),
        "sentences": list(findings.sentences),
        "notes": [asdict(note) for note in findings.notes],
        **{name: frame.rows(named=True) for name, frame in findings.more.items()},
    }


def _column(key: str, table: pl.DataFrame) -> Column:
    if key not in ("model", "responder"):
        return column(key, show=short_name if key == "judge" else None)
    names = short_names(table[key])
    return column(key, show=lambda name: names[str(name)])
