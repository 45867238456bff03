"""`rankscope report`: a page, tables and figures of finished runs."""

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
        output: The page, one HTML file.
        tables: A folder for every table as Markdown, LaTeX (booktabs) and CSV.
        figures: A folder for every figure as SVG, PNG and PDF.
        every_eval_ever: A folder for a record of each model in the schema of Every Eval Ever.
        lm_eval: A folder for a results_*.json of each model, as lm-evaluation-harness writes it.
    """

    output: str | None = None
    tables: str | None = None
    figures: str | None = None
    every_eval_ever: str | None = None
    lm_eval: str | None = None

    def paths(self) -> dict[str, Path]:
        """Those that were given, by name.

        Raises:
            SettingsError: an address in an object store, a file where a folder is meant, or the other way round.
        """
        from rankscope.runs import local_path

        given = {field.name: getattr(self, field.name) for field in fields(self)}
        found = {name: local_path(place, name) for name, place in given.items() if place is not None}
        for name, place in found.items():
            if name == "output" and place.is_dir():
                raise SettingsError(
                    f"output is a file, and {place} is a folder: give a name such as {place / 'report.html'}"
                )
            if name != "output" and place.exists() and not place.is_dir():
                flag = name.replace("_", "-")
                raise SettingsError(f"{flag} is a folder, and {place} is a file: give another place")
        return found


def report(
    runs: Annotated[list[str], Parameter(name="RUN_DIR", negative="")],
    /,
    *,
    model_card: Annotated[bool, Parameter(negative="")] = False,
    places: Annotated[Places, Parameter(name="*")] = Places(),
) -> None:
    """Make a page that needs no network, tables and figures of finished runs; export them for other tools.

    Several runs, or several models in one, are compared; checkpoints of one model are shown through its training.
    Without options all tables are printed.

    For example:

        rankscope report runs/mine --output report.html --tables paper/tables --figures paper/figures
        rankscope report runs/mine --every-eval-ever shared --lm-eval shared

    Args:
        runs: Folders or addresses of finished runs.
        model_card: Print a snippet for the model's card on the hub: metadata with results, and a paragraph.
        places: What is written, and where.
    """
    from rankscope.reports import every_eval_ever_of, lm_eval_results_of, model_card_of, save_records
    from rankscope.runs import Run

    wanted = places.paths()
    if model_card:
        print("\n".join(model_card_of(Run(run)) for run in runs), end="")
    written = []
    for name, exported in (("every_eval_ever", every_eval_ever_of), ("lm_eval", lm_eval_results_of)):
        if (folder := wanted.pop(name, None)) is not None:
            written += [file for run in runs for file in save_records(exported(Run(run)), folder)]
    if wanted or not (model_card or written):
        written += _report(runs, wanted)
    for file in written:
        print(f"wrote {file}", file=sys.stderr)


def _report(runs: list[str], wanted: Mapping[str, Path]) -> list[Path]:
    """Writes page, tables and figures, or prints the tables where none is wanted."""
    from rich.console import Console

    from rankscope.reports import build_report, print_notes, print_table, save_figures, save_page, save_tables

    written: list[Path] = []
    with Console(stderr=True).status("reading runs, comparing models, drawing"):
        made = build_report(*runs)
        if (page := wanted.get("output")) is not None:
            written.append(save_page(made, page))
        if (folder := wanted.get("tables")) is not None:
            written += save_tables(made, folder)
        if (folder := wanted.get("figures")) is not None:
            written += save_figures(made, folder)
    if not wanted:
        for part in made.sections:
            for table in part.tables.values():
                print(f"\n{part.heading}\n")
                print_table(table, sys.stdout)
        print_notes(made.notes, sys.stdout)
    return written
