"""`rankscope report`: a page, tables and figures from finished runs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from rankscope.errors import SettingsError


def report(
    runs: Annotated[list[str], Parameter(name="RUN_DIR", negative="")],
    /,
    *,
    output: str | None = None,
    tables: str | None = None,
    figures: str | None = None,
    model_card: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Make a self-contained HTML page, tables and figures from finished runs.

    Several runs, or several models in one run, are compared. Checkpoints of one model are plotted over training steps.
    Without options, prints all tables.

    For example:

        rankscope report runs/mine --output report.html --tables paper/tables --figures paper/figures

    Args:
        runs: Folders or addresses of finished runs.
        output: HTML file to write, or its address in an object store.
        tables: Folder for all tables, as Markdown, LaTeX (booktabs) and CSV.
        figures: Folder for all figures, as SVG, PNG and PDF.
        model_card: Print a snippet for the model card on the hub: metadata with results, and a paragraph.
    """
    from rich.console import Console

    from rankscope.reports import build_report, model_card_of, print_notes, print_table, save_figures, save_page
    from rankscope.reports import save_tables as write_tables
    from rankscope.runs import Run, file_at, local_path

    if output is not None:
        file_at(output)  # refuses an address that cannot be used before anything is read
    table_folder, figure_folder = (
        None if place is None else local_path(place, what) for place, what in ((tables, "tables"), (figures, "figures"))
    )
    _refuse_wrong_places(output, table_folder, figure_folder)
    if model_card:
        print("\n".join(model_card_of(Run(run)) for run in runs), end="")
    if model_card and not (output or tables or figures):
        return
    with Console(stderr=True).status("reading runs, comparing models, drawing figures"):
        made = build_report(*runs)
        written: list[Path | str] = [save_page(made, output)] if output else []
        written += write_tables(made, table_folder) if table_folder else []
        written += save_figures(made, figure_folder) if figure_folder else []
    for file in written:
        print(f"wrote {file}", file=sys.stderr)
    if not written:
        for part in made.sections:
            for table in part.tables.values():
                print(f"\n{part.heading}\n")
                print_table(table, sys.stdout)
        print_notes(made.notes, sys.stdout)


def _refuse_wrong_places(output: str | None, tables: Path | None, figures: Path | None) -> None:
    if output is not None and Path(output).is_dir():
        raise SettingsError(f"output must be a file, not the folder {output}: use {Path(output) / 'report.html'}")
    for name, folder in (("tables", tables), ("figures", figures)):
        if folder is not None and folder.exists() and not folder.is_dir():
            raise SettingsError(f"{name} must be a folder, not the file {folder}: choose another path")
