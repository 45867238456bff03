"""`rankscope compare`: differences between models, with confidence intervals."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import Annotated

from cyclopts import Parameter

from rankscope.cli.terminal import print_json


def compare(
    runs: Annotated[list[str], Parameter(name="RUN_DIR", negative="")],
    /,
    *,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Compare models on the same texts: differences from the first model, confidence intervals, p-values, notes.

    For example:

        rankscope compare runs/step-1000 runs/step-143000

    Args:
        runs: Folders or addresses of finished runs; several models in one run are also compared.
        json: Print only the comparison, as JSON, on standard output.
    """
    from rankscope.reports import print_notes, print_table
    from rankscope.runs import compare as compare_runs
    from rankscope.tables import differences_table

    comparison = compare_runs(*runs)
    if json:
        content = {
            "schema": 1,
            "differences": comparison.rows(),
            "notes": [asdict(note) for note in comparison.notes],
        }
        print_json(content, sys.stdout)
        return
    print_table(differences_table(comparison.rows()), sys.stdout)
    print_notes(comparison.notes, sys.stdout)
