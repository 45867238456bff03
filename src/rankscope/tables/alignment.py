"""Tables of image-text alignment: the five effective ranks and what follows from them, and what controls change."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rankscope.tables.standard import model_column
from rankscope.tables.table import Column, Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rankscope.statistics import Summary

_DATA = Column("dataset", "data", align="left")
_IMAGES = Column("control", "images", align="left")
_RATIOS = {"image_reduction_ratio": "reduction", "image_text_alignment": "alignment"}


def alignment_table(rows: Sequence[Summary]) -> Table:
    """The five effective ranks, the two ratios with their intervals, MIR and loss; a line for each control."""
    columns = [model_column(rows), _DATA]
    columns += [_IMAGES] if {row["control"] for row in rows} != {"base"} else []
    columns += [Column("texts", "pairs")]
    columns += [Column(f"erank{place}", str(place), digits=2, aligned=True) for place in range(1, 6)]
    for key, heading in _RATIOS.items():
        columns.append(Column(key, heading, digits=4, aligned=True))
        columns.append(Column(key, "95 % interval", digits=4, aligned=True, interval=True))
    columns.append(Column("modality_integration_rate", "MIR", digits=3, aligned=True))
    columns.append(Column("loss", "loss", digits=3, aligned=True))
    return Table(tuple(columns), tuple(rows))


def control_table(rows: Sequence[Summary]) -> Table:
    """What each control changes on the same pairs: the difference with its paired interval."""
    columns = [model_column(rows), _DATA, _IMAGES]
    for key, heading in {**_RATIOS, "loss": "loss"}.items():
        columns.append(Column(f"{key}_change", f"change of {heading}", digits=4, aligned=True, sign=True))
        columns.append(Column(f"{key}_change", "95 % interval", digits=4, aligned=True, sign=True, interval=True))
    return Table(tuple(columns), tuple(row for row in rows if "image_reduction_ratio_change" in row))
