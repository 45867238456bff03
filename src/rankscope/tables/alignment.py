"""Tables of image-text alignment: the five effective ranks, their ratios, and the effect of controls."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rankscope.tables.standard import model_column
from rankscope.tables.table import Table
from rankscope.tables.vocabulary import INTERVAL, column

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rankscope.statistics import Summary

_RATIOS = ("image_reduction_ratio", "image_text_alignment")


def alignment_table(rows: Sequence[Summary]) -> Table:
    """The five effective ranks, the two ratios with their intervals, MIR and loss; one row per control."""
    columns = [model_column(rows), column("dataset")]
    columns += [column("control")] if {row["control"] for row in rows} != {"base"} else []
    columns += [column("texts", heading="pairs")]
    columns += [column(f"erank{place}", heading=str(place), aligned=True) for place in range(1, 6)]
    for key in _RATIOS:
        columns += [column(key, aligned=True), column(key, heading=INTERVAL, interval=True, aligned=True)]
    columns += [column("modality_integration_rate", aligned=True), column("loss", aligned=True)]
    return Table(tuple(columns), tuple(rows))


def control_table(rows: Sequence[Summary]) -> Table:
    """The effect of each control on the same pairs: the difference with its paired interval."""
    columns = [model_column(rows), column("dataset"), column("control")]
    for key in (f"{name}_change" for name in (*_RATIOS, "loss")):
        columns += [column(key, aligned=True), column(key, heading=INTERVAL, interval=True, aligned=True)]
    return Table(tuple(columns), tuple(row for row in rows if "image_reduction_ratio_change" in row))
