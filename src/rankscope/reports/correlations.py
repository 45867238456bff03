"""Do metrics follow size or loss over models? Correlations as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rankscope.statistics import Method, defined_correlation
from rankscope.tables import INTERVAL, Table, column, term

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rankscope.statistics import Summary
    from rankscope.statistics.bootstrap import Numbers

FEWEST_MODELS = 3
_METHODS: tuple[Method, ...] = ("spearman", "pearson")
_METRICS = ("effective_rank", "diff_erank", "normalized_matrix_entropy", "matrix_nuclear_norm")


def correlations_table(rows: Sequence[Summary]) -> Table:
    """Spearman and Pearson of each metric with hidden size and loss, and with loss for hidden size held fixed.

    Args:
        rows: of one data set and one layer, a model each. A correlation that is not defined, of a metric that is
            the same for all models, shows as absent.
    """
    found: list[dict[str, object]] = []
    for metric in _METRICS:
        for beside, held in (("hidden_size", None), ("loss", None), ("loss", "hidden_size")):
            used = [row for row in rows if all(row.get(key) is not None for key in (metric, beside, held or metric))]
            if len(used) < FEWEST_MODELS + (held is not None) or len({row[held or beside] for row in used}) < 2:
                continue
            x, y = _column(used, metric), _column(used, beside)
            controls = None if held is None else _column(used, held)[:, None]
            name = term(beside).label + (f", {term(held).label} held fixed" if held else "")
            row: dict[str, object] = {"metric": term(metric).label, "beside": name, "models": len(used)}
            for method in _METHODS:
                if one := defined_correlation(x, y, method, controls=controls):
                    row |= {method: one.value, f"{method}_low": one.low, f"{method}_high": one.high}
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
    return Table(columns, tuple(found), "correlations over models; below five models there is no interval")


def _column(rows: Sequence[Summary], key: str) -> Numbers:
    return np.array([row[key] for row in rows], dtype=np.float64)
