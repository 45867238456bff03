"""Vision-language models on rotated images."""

from __future__ import annotations

from typing import Any

import polars as pl

from rankscope.studies.conditions import Cells, with_published
from rankscope.studies.published import alignment_printed
from rankscope.studies.questions.multimodal import COLUMNS, RATIOS, UNREAD, aligned, data_name
from rankscope.studies.sentences import short
from rankscope.studies.study import Figure, Findings, Request, Study
from rankscope.tables import said

ROTATIONS = ("rotated-90", "rotated-180", "rotated-270")


def conduct(request: Request) -> Findings:
    """Measures images as they are and rotated clockwise by three angles; the paper does not state its angle."""
    table = aligned(request, ROTATIONS)
    return Findings(with_published(table, _published), tuple(_sentences(table)))


def _published(row: dict[str, Any]) -> Cells:
    called = {"base": "base", "rotated-90": "rotated"}.get(row["condition"])
    if called is None or data_name(row["dataset"]) != "detail_23k":
        return {}
    return alignment_printed("diff_erank.table3", row["model"], called)


def _sentences(table: pl.DataFrame) -> list[str]:
    found = []
    for row in table.filter(pl.col("condition") != "base").rows(named=True):
        parts = [
            f"{said(key)} changes by {row[f'{key}_change']:+.4f} "
            f"({row[f'{key}_change_low']:+.4f} to {row[f'{key}_change_high']:+.4f})"
            for key in (*RATIOS, "loss")
            if row.get(f"{key}_change_low") is not None
        ]
        if parts:
            found.append(f"{short(row['model'])} on {row['dataset']}, {row['condition']}: {', '.join(parts)}.")
    return found


STUDY = Study(
    name="rotation",
    question="Do reduction and alignment change when images are rotated?",
    source="Diff-eRank, table 3",
    models=("llava-hf/llava-1.5-7b-hf",),
    data=("detail_23k.json",),
    columns=COLUMNS,
    figure=Figure(x="condition", metrics=(*RATIOS, "loss"), series="model", panels_by="dataset", is_ordered=False),
    conduct=conduct,
    also_measures=lambda _: "an alignment (align has --shard)",
    decides=UNREAD,
    published=("diff_erank.table3",),
    options=("images", "prompt"),
)
