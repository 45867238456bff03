"""Which blocks can be removed, how far weights can be rounded, and how many directions layers use."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import polars as pl

from rankscope.atomic import write_text
from rankscope.errors import ModelError, SettingsError
from rankscope.models import known_model
from rankscope.runs import local_path, prepare
from rankscope.setting_values import at_least
from rankscope.settings import changed
from rankscope.studies.compression.layers_file import layer_rows, layers_content
from rankscope.studies.compression.low_rank import count_directions, sentences_on_directions
from rankscope.studies.compression.removal import remove_blocks
from rankscope.studies.compression.removal_sentences import sentences_on_removal
from rankscope.studies.compression.rounding import measure_variants, round_weights, sentences_on_rounding
from rankscope.studies.compression.saving import refuse_used_folder, write_pruned
from rankscope.studies.compression.workbench import EVERY_NTH_RANKS, Workbench
from rankscope.studies.sentences import short
from rankscope.studies.study import Figure, Findings, Request, Study

FOLDER = "the study of compression"
TEXTS = 60
"""Default number of texts per data set."""


@dataclass(frozen=True)
class _Answer:
    """The results for one model on one data set: rows, sentences, other tables, rows of `layers.json`."""

    table: pl.DataFrame
    sentences: tuple[str, ...]
    more: Mapping[str, pl.DataFrame]
    layers: tuple[dict[str, Any], ...]


def conduct(request: Request) -> Findings:
    """Studies one model and data set after another; all parts of the question use the same texts."""
    _check(request)
    settings = changed(request.settings, {"untrained_seeds": 0, "limit": request.settings.limit or TEXTS})
    asked = replace(request, settings=settings)
    answers = list(_answers(asked))
    rows = [row for answer in answers for row in answer.layers]
    content = json.dumps(layers_content(rows), indent=1, allow_nan=False, ensure_ascii=False)
    write_text(local_path(request.folder, FOLDER) / "layers.json", f"{content}\n")
    more = {name: _joined([answer.more[name] for answer in answers]) for name in answers[0].more}
    return Findings(
        _joined([answer.table for answer in answers]),
        tuple(sentence for answer in answers for sentence in answer.sentences),
        more={name: table for name, table in more.items() if not table.is_empty()},
    )


def _check(request: Request) -> None:
    """Rejects invalid requests before anything is measured."""
    options = request.options
    local_path(request.folder, FOLDER)
    at_least("remove", options.remove, 1)
    one_subject = len(request.models) == len(request.data) == 1
    for name in ("variants", "write"):
        if getattr(options, name) is not None and not one_subject:
            raise SettingsError(f"{name} needs exactly one model and one data set")
    if options.write is not None:
        if options.remove is None:
            raise SettingsError("write also needs remove, the number of blocks to remove")
        refuse_used_folder(options.write)


def _answers(request: Request) -> Iterator[_Answer]:
    for model in request.models:
        job = prepare([model], request.data, request.settings)
        for texts in job.text_sets:
            bench = Workbench(job, texts, local_path(request.folder, FOLDER) / "runs", request.progress)
            fewest = 1 + max(1, request.options.remove or 1)
            if bench.blocks < fewest:
                raise ModelError(
                    f"{model} has {bench.blocks} blocks, but {fewest} are needed because at least one must remain"
                )
            yield _answer(bench, request)


def _answer(bench: Workbench, request: Request) -> _Answer:
    removals = remove_blocks(bench, request.options.remove)
    moved = round_weights(bench)
    directions = count_directions(bench)
    if request.options.variants:
        moved = replace(moved, variants=measure_variants(bench, request))
    subject = f"{short(bench.name)} on {bench.texts.name}"
    sentences = [
        f"{subject}: one text in {EVERY_NTH_RANKS} ({len(bench.ranking.batches.indices)}) ranks blocks, and losses are "
        f"compared on the other {len(bench.judged.batches.indices)}.",
        *sentences_on_removal(removals, subject, bench.blocks),
        *sentences_on_rounding(moved, subject),
        *sentences_on_directions(directions, subject),
    ]
    more = {
        "scores": removals.scores,
        "associations": removals.associations,
        "comparisons": removals.comparisons,
        "rounding": moved.table,
        "rounding_layers": moved.layers,
        "variants": moved.variants,
        "directions": directions,
    }
    layers = tuple(layer_rows(bench, removals, directions))
    if request.options.write is not None and request.options.remove is not None:
        sentences.append(write_pruned(bench, removals, request.options.remove, request.options.write))
    return _Answer(
        _named(removals.table, bench).with_columns(**_facts(bench)),
        tuple(sentences),
        {name: _named(table, bench) for name, table in more.items()},
        layers,
    )


def _named(table: pl.DataFrame, bench: Workbench) -> pl.DataFrame:
    """The table, preceded by the columns `dataset`, `model` and `subject` (both in words)."""
    if table.is_empty():
        return table
    names = {"dataset": bench.texts.name, "model": bench.name, "subject": f"{short(bench.name)} on {bench.texts.name}"}
    return table.select(*(pl.lit(value).alias(name) for name, value in names.items()), pl.all())


def _facts(bench: Workbench) -> dict[str, pl.Expr]:
    config = bench.model.config.get_text_config()
    known = known_model(bench.name)
    return {
        "family": pl.lit(known.family if known else config.model_type),
        "parameters": pl.lit(known.parameters if known else bench.parameters),
        "hidden_size": pl.lit(config.hidden_size),
    }


def _joined(tables: list[pl.DataFrame]) -> pl.DataFrame:
    filled = [table for table in tables if not table.is_empty()]
    return pl.concat(filled, how="diagonal_relaxed") if filled else pl.DataFrame()


STUDY = Study(
    name="compression",
    question="Which blocks can be removed, how far can weights be rounded, and do spectra react before the loss?",
    source="not from a paper; block influence as in ShortGPT, arXiv 2403.03853",
    models=("pico-3m",),
    data=("stdlib-docs",),
    columns=("dataset", "model", "ranking", "removed", "blocks", "texts", "loss", "loss_change", "effective_rank"),
    figure=Figure(
        x="removed",
        metrics=("loss_change", "effective_rank"),
        series="ranking",
        panels_by="subject",
        title="Blocks removed, by ranking",
    ),
    conduct=conduct,
    also_measures=lambda _: "modified networks",
    decides=(
        "layers",
        "untrained_seeds",
        "metrics",
        "protocol",
        "untrained_from",
        "config_from",
        "initializer_range",
        "drop_tokens",
        "pool",
    ),
    options=("variants", "remove", "write"),
    in_one_process=True,
    more_figures=(
        Figure(
            x="block",
            metrics=("loss_change", "block_influence", "entropy_change"),
            series="subject",
            table="scores",
            title="Each block: removed alone, and its scores",
        ),
        Figure(
            x="bits",
            metrics=("loss_change", "loss_in_errors", "clearest_in_errors"),
            series="scheme",
            panels_by="subject",
            table="rounding",
            title="Weights rounded",
        ),
        Figure(
            x="depth",
            metrics=("of_hidden_size", "of_weights"),
            series="held",
            panels_by="subject",
            table="directions",
            title="Directions that hold a share of the variance",
        ),
    ),
)
