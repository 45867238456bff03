"""`rankscope report`: a page, tables and figures from finished runs."""

from __future__ import annotations

import sys
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from rankscope.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Places:
    """What is written, and where.

    Attributes:
        output: HTML file to write, or its address in an object store.
        tables: Folder for all tables, as Markdown, LaTeX (booktabs) and CSV.
        figures: Folder for all figures, as SVG, PNG and PDF.
        every_eval_ever: Folder for one record per model in the schema of Every Eval Ever.
        lm_eval: Folder for one results_*.json per model, as lm-evaluation-harness writes it.
    """

    output: str | None = None
    tables: str | None = None
    figures: str | None = None
    every_eval_ever: str | None = None
    lm_eval: str | None = None

    def checked_folders(self) -> dict[str, Path]:
        """The folders that were given, by name.

        Raises:
            SettingsError: an address cannot be used, a folder was expected but a file was given, or vice versa.
        """
        from rankscope.runs import file_at, local_path

        if self.output is not None:
            file_at(self.output)
            if Path(self.output).is_dir():
                page = Path(self.output) / "report.html"
                raise SettingsError(f"output must be a file, not the folder {self.output}: use {page}")
        given = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "output"}
        found = {name: local_path(place, name) for name, place in given.items() if place is not None}
        for name, place in found.items():
            if place.exists() and not place.is_dir():
                flag = name.replace("_", "-")
                raise SettingsError(f"{flag} must be a folder, not the file {place}: choose another path")
        return found


def report(
    runs: Annotated[list[str], Parameter(name="RUN_DIR", negative="")],
    /,
    *,
    model_card: Annotated[bool, Parameter(negative="")] = False,
    places: Annotated[Places, Parameter(name="*")] = Places(),
) -> None:
    """Make a self-contained HTML page, tables and figures from finished runs, or export them for other tools.

    Several runs, or several models in one run, are compared. Checkpoints of one model are plotted over training steps.
    Without options, prints all tables.

    For example:

        rankscope report runs/mine --output report.html --tables paper/tables --figures paper/figures
        rankscope report runs/mine --every-eval-ever shared --lm-eval shared

    Args:
        runs: Folders or addresses of finished runs.
        model_card: Print a snippet for the model card on the hub: metadata with results, and a paragraph.
        places: What to write, and where.
    """
    from rankscope.reports import every_eval_ever_of, lm_eval_results_of, model_card_of, save_records
    from rankscope.runs import Run

    folders = places.checked_folders()
    if model_card:
        print("\n".join(model_card_of(Run(run)) for run in runs), end="")
    written: list[Path | str] = []
    for name, exported in (("every_eval_ever", every_eval_ever_of), ("lm_eval", lm_eval_results_of)):
        if (folder := folders.pop(name, None)) is not None:
            written += [file for run in runs for file in save_records(exported(Run(run)), folder)]
    if places.output or folders or not (model_card or written):
        written += _report(runs, places.output, folders)
    for file in written:
        print(f"wrote {file}", file=sys.stderr)


def _report(runs: list[str], page: str | None, folders: Mapping[str, Path]) -> list[Path | str]:
    """Writes page, tables and figures; prints the tables if none of them is wanted."""
    from rich.console import Console

    from rankscope.reports import build_report, print_notes, print_table, save_figures, save_page, save_tables

    written: list[Path | str] = []
    with Console(stderr=True).status("reading runs, comparing models, drawing figures"):
        made = build_report(*runs)
        if page is not None:
            written.append(save_page(made, page))
        if (folder := folders.get("tables")) is not None:
            written += save_tables(made, folder)
        if (folder := folders.get("figures")) is not None:
            written += save_figures(made, folder)
    if not (page or folders):
        for part in made.sections:
            for table in part.tables.values():
                print(f"\n{part.heading}\n")
                print_table(table, sys.stdout)
        print_notes(made.notes, sys.stdout)
    return written
