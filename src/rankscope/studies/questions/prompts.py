"""Question-answer pairs without a prefix and with three instructions.

The wording of the paper's prefixes is unknown, so its numbers are listed separately.
"""

from __future__ import annotations

import polars as pl

from rankscope.studies.conditions import Condition, Grid, measure, with_differences, with_tokens_per_text
from rankscope.studies.sentences import at, by_group_and_layer
from rankscope.studies.study import Figure, Findings, Request, Study

PREFIXES = {
    "none": None,
    "answer": "Answer the question below.",
    "expert": "You are an expert in common sense and science. Read the question with care and give the best answer.",
    "steps": "Think about the question step by step, rule out what cannot be right, and then state the answer.",
}
BASE = "none"
_METRICS = ("matrix_nuclear_norm", "matrix_entropy", "loss")


GRID = Grid(
    tuple(
        Condition(name, {"prefix": prefix, "untrained_seeds": 0}, {"condition": name})
        for name, prefix in PREFIXES.items()
    )
)


def conduct(request: Request) -> Findings:
    """One evaluation per prefix."""
    measured = measure(request, GRID)
    table = with_tokens_per_text(with_differences(measured.table, measured.runs, BASE, _METRICS))
    return Findings(table, tuple(_sentences(table)), measured.notes)


def _sentences(table: pl.DataFrame) -> list[str]:
    found = []
    for (model, dataset), layer, rows in by_group_and_layer(table, "model", "dataset"):
        moved = (
            rows.drop_nulls("matrix_nuclear_norm_difference")
            if "matrix_nuclear_norm_difference" in rows.columns
            else rows.clear()
        )
        parts = [
            f"{row['condition']} {row['matrix_nuclear_norm_difference']:+.4f} "
            f"({row['tokens_per_text']:.0f} tokens per text)"
            for row in moved.rows(named=True)
        ]
        if parts:
            base = rows.filter(pl.col("condition") == BASE)["tokens_per_text"][0]
            against = f"MNN compared with no prefix ({base:.0f} tokens per text)"
            found.append(f"{model} on {dataset}{at(layer)}, {against}: {'; '.join(parts)}.")
    found.append(
        "A prefix is the same in every text and makes it longer: both change the metrics, regardless of its wording."
    )
    return found


STUDY = Study(
    name="prompts",
    question="How does an instruction before question-answer pairs change the metrics?",
    source="Matrix Nuclear-Norm, tables 2 and 12",
    models=("cerebras/Cerebras-GPT-1.3B", "cerebras/Cerebras-GPT-2.7B", "cerebras/Cerebras-GPT-6.7B"),
    data=("openbookqa", "winogrande", "piqa"),
    columns=(
        "dataset",
        "model",
        "condition",
        "texts",
        "tokens_per_text",
        "matrix_nuclear_norm",
        "matrix_nuclear_norm_difference",
        "normalized_matrix_entropy",
        "loss",
    ),
    figure=Figure(
        x="condition",
        metrics=("matrix_nuclear_norm", "normalized_matrix_entropy", "loss"),
        series="model",
        panels_by="dataset",
        is_ordered=False,
    ),
    conduct=conduct,
    grids=lambda _: (GRID,),
    decides=("prefix", "untrained_seeds"),
    published=("mnn.table2",),
)
