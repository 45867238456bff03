"""`rankscope list`: what can be asked for by name."""

from __future__ import annotations

import sys
from typing import Literal


def listing(what: Literal["metrics", "datasets"], /) -> None:
    """Show the metrics or the data sets that have a name.

    For example:
        rankscope list datasets

    Args:
        what: metrics or datasets.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("name", no_wrap=True)
    table.add_column("what it is")
    for name, description in _metrics() if what == "metrics" else _datasets():
        table.add_row(Text(name), Text(description))
    Console(file=sys.stdout, highlight=False).print(table)


def _metrics() -> list[tuple[str, str]]:
    from rankscope import metrics
    from rankscope.settings import METRIC_NAMES

    functions = {name: getattr(metrics, name, None) for name in METRIC_NAMES}
    functions["loss"] = metrics.token_cross_entropy
    return [(name, (function.__doc__ or "").splitlines()[0]) for name, function in functions.items() if function]


def _datasets() -> list[tuple[str, str]]:
    from rankscope.texts import CATALOGUE

    return [(name, entry.description) for name, entry in CATALOGUE.items()]
