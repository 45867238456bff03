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

    With five or more models, it also shows how well size and length predict their loss, and what each metric adds.

    For example:

        rankscope compare runs/step-1000 runs/step-143000

    Args:
        runs: Folders or addresses of finished runs; several models in one run are also compared.
        json: Print only the comparison, as JSON, on standard output.
    """
    from rankscope.reports import predictions_of, predictions_table, print_notes, print_table
    from rankscope.runs import Run
    from rankscope.runs import compare as compare_runs
    from rankscope.tables import differences_table

    opened = [Run(run) for run in runs]
    comparison = compare_runs(*opened)
    predicted, remarks = predictions_of(opened)
    if json:
        content = {
            "schema": 1,
            "differences": comparison.rows(),
            "predictions": [
                row | {"dataset": data} for data, found in predicted.items() for row in found.rows(named=True)
            ],
            "remarks": remarks,
            "notes": [asdict(note) for note in comparison.notes],
        }
        print_json(content, sys.stdout)
        return
    print_table(differences_table(comparison.rows()), sys.stdout)
    for data, found in predicted.items():
        print(f"\nprediction of held-out models, {data}")
        print_table(predictions_table(found), sys.stdout)
    for remark in remarks:
        print(remark)
    print_notes(comparison.notes, sys.stdout)
