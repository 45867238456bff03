"""Correlations of metrics with model size and loss, as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rankscope.statistics import Method, associations, fewest_models
from rankscope.tables import INTERVAL, Table, column, term

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rankscope.statistics import Summary

_METHODS: tuple[Method, ...] = ("spearman", "pearson")
_METRICS = ("effective_rank", "diff_erank", "normalized_matrix_entropy", "matrix_nuclear_norm")
_CAPTION = (
    "correlations over models, with the logarithm of hidden size; intervals from five models, "
    f"variables held fixed from {fewest_models(1)}"
)


def correlations_table(rows: Sequence[Summary]) -> Table:
    """Spearman and Pearson of each metric with hidden size, with loss, and with loss while hidden size is held fixed.

    Pairs for which `associations` returns nothing have no row.

    Args:
        rows: one row per model, all of the same data set and layer.
    """
    found: list[dict[str, object]] = []
    for metric in _METRICS:
        for other, held in (("hidden_size", ()), ("loss", ()), ("loss", ("hidden_size",))):
            several = associations(rows, metric, other, held, _METHODS)
            if not several:
                continue
            name = term(other).label + "".join(f", {term(one).label} held fixed" for one in held)
            row: dict[str, object] = {"metric": term(metric).label, "beside": name, "models": several[0].models}
            for one in several:
                row |= {one.method: one.value, f"{one.method}_low": one.low, f"{one.method}_high": one.high}
            found.append(row)
    columns = (
        column("metric"),
        column("beside"),
        column("spearman", aligned=True),
        column("spearman", heading=INTERVAL, interval=True, aligned=True),
        column("pearson", aligned=True),
        column("pearson", heading=INTERVAL, interval=True, aligned=True),
        column("models"),
    )
    return Table(columns, tuple(found), _CAPTION)
