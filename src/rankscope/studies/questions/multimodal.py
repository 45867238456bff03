"""The effective ranks eRank1 to eRank5, reduction and alignment of vision-language models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl

from rankscope.runs import align, child
from rankscope.settings import AlignmentSettings
from rankscope.studies.conditions import Cells, with_published
from rankscope.studies.published import alignment_printed
from rankscope.studies.sentences import short
from rankscope.studies.study import Figure, Findings, Request, Study

RANKS = tuple(f"erank{place}" for place in range(1, 6))
RATIOS = ("image_reduction_ratio", "image_text_alignment")
SHUFFLED = "shuffled"
UNREAD = (
    "sample_seed",
    "field",
    "template",
    "layers",
    "untrained_seeds",
    "protocol",
    "untrained_from",
    "metrics",
    "prefix",
    "perturbation",
    "window",
    "drop_tokens",
    "batch_tokens",
)
"""Settings of evaluations that do not apply to an alignment."""


def conduct(request: Request) -> Findings:
    """Measures each text with its own image and, as a control, with the image of another pair."""
    table = aligned(request, (SHUFFLED,))
    return Findings(with_published(table, _published), tuple(_sentences(table)))


def aligned(request: Request, controls: tuple[str, ...]) -> pl.DataFrame:
    """The rows of an alignment, one per model, data set and control; `condition` is the control."""
    asked, options = request.settings, request.options
    settings = AlignmentSettings(
        limit=asked.limit,
        images=None if options.images is None else str(options.images),
        prompt=options.prompt or "",
        split=asked.split,
        max_length=asked.max_length,
        dtype=asked.dtype,
        device=asked.device,
        trust_remote_code=asked.trust_remote_code,
    )
    folder = child(request.folder, "runs", "alignment")
    run = align(
        request.models,
        request.data,
        controls=controls,
        output=folder,
        settings=settings,
        progress=request.progress,
        execution=request.execution,
    )
    table = pl.DataFrame(run.summary_rows(), infer_schema_length=None)
    return table.with_columns(condition=pl.col("control"))


def data_name(dataset: str) -> str:
    """A data set's name without its file suffix, as used in the papers."""
    return Path(dataset).name.partition(".")[0]


def _published(row: dict[str, Any]) -> Cells:
    if row["condition"] != "base":
        return {}
    return alignment_printed("diff_erank.table2", row["model"], data_name(row["dataset"]))


def _sentences(table: pl.DataFrame) -> list[str]:
    found = [
        f"{short(row['model'])} on {row['dataset']}: the connector changes effective rank from {row['erank1']:.2f} to "
        f"{row['erank2']:.2f} (reduction {row['image_reduction_ratio']:.3f}); image, text and both have "
        f"{row['erank3']:.2f}, {row['erank4']:.2f} and {row['erank5']:.2f} "
        f"(alignment {row['image_text_alignment']:.3f})."
        for row in table.filter(pl.col("condition") == "base").rows(named=True)
        if row["erank1"] is not None
    ]
    for row in table.filter(pl.col("condition") == SHUFFLED).rows(named=True):
        low, high = row.get("image_text_alignment_change_low"), row.get("image_text_alignment_change_high")
        if low is not None and high is not None:
            loss = "" if row.get("loss_change") is None else f"; the response's loss by {row['loss_change']:+.3f}"
            found.append(
                f"With the image of another pair, the alignment of {short(row['model'])} on {row['dataset']} changes "
                f"by {row['image_text_alignment_change']:+.4f} ({low:+.4f} to {high:+.4f}){loss}."
            )
    return found


COLUMNS = ("dataset", "model", "condition", "texts", *RANKS, *RATIOS, "modality_integration_rate", "loss")
STUDY = Study(
    name="multimodal",
    question="How much does a connector reduce an image, and how similar are image, text and both to the model?",
    source="Diff-eRank, table 2",
    models=("llava-hf/llava-1.5-7b-hf",),
    data=("detail_23k.json",),
    columns=COLUMNS,
    figure=Figure(
        x="condition",
        metrics=(*RATIOS, "modality_integration_rate", "loss"),
        series="model",
        panels_by="dataset",
        is_ordered=False,
    ),
    conduct=conduct,
    also_measures=lambda _: "an alignment (align has --shard)",
    decides=UNREAD,
    published=("diff_erank.table2",),
    options=("images", "prompt"),
)
