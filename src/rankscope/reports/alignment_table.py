"""Tables of image-text alignment: the five effective ranks and what follows from them, and what controls change."""

from __future__ import annotations

from typing import TYPE_CHECKING, TextIO

from rich.text import Text

from rankscope.reports.standard_tables import short_name
from rankscope.reports.tables import Column, Table
from rankscope.reports.terminal import console_for, print_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rankscope.statistics import Summary

_WHAT_IT_IS = """
eRank of image tokens 1 after the vision encoder and 2 after the connector; of the language model's last hidden
states for 3 the image, 4 the text and 5 both. reduction = (1 - 2) / 1; alignment = mean(3, 4, 5) / max(3, 4, 5);
MIR = modality integration rate, lower is closer; loss of the response, in nats per token."""

_MODEL = Column("model", "model", align="left", show=short_name)
_DATA = Column("dataset", "data", align="left")
_IMAGES = Column("control", "images", align="left")
_RATIOS = {"image_reduction_ratio": "reduction", "image_text_alignment": "alignment"}


def alignment_table(rows: Sequence[Summary]) -> Table:
    """The five effective ranks, the two ratios with their intervals, MIR and loss; a line for each control."""
    columns = [_MODEL, _DATA]
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
    columns = [_MODEL, _DATA, _IMAGES]
    for key, heading in {**_RATIOS, "loss": "loss"}.items():
        columns.append(Column(f"{key}_change", f"change of {heading}", digits=4, aligned=True, sign=True))
        columns.append(Column(f"{key}_change", "95 % interval", digits=4, aligned=True, sign=True, interval=True))
    return Table(tuple(columns), tuple(row for row in rows if "image_reduction_ratio_change" in row))


def print_alignment(rows: Sequence[Summary], stream: TextIO) -> None:
    """Prints the table of an alignment, what controls change, what the columns are, and what was skipped."""
    console = console_for(stream)
    print_table(alignment_table(rows), stream, compact=True)
    changes = control_table(rows)
    if changes.rows:
        console.print()
        print_table(changes, stream, compact=True)
    console.print(Text(_WHAT_IT_IS), soft_wrap=True)
    skipped = {(row["model"], row["dataset"]): row["skipped"] for row in rows if row["skipped"]}
    for (model, dataset), count in skipped.items():
        where = f"{short_name(model)} on {dataset}"
        reasons = "reasons: column `reason` of the measurements"
        console.print(Text(f"{where}: {count} pairs skipped ({reasons})"), soft_wrap=True)
