"""Metrics on the responses of instruct models: each model on its own responses, and one judge on all of them.

A model that scores its own responses sees texts of its own length and style. A common judge removes the effect of the
scorer; the effect of length remains, so length is reported with every score.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import polars as pl

from rankscope.atomic import write_text
from rankscope.errors import DataError, SettingsError
from rankscope.models import GenerationSettings
from rankscope.runs import Run, evaluate, local_path, respond
from rankscope.settings import changed
from rankscope.studies.associations import correlated
from rankscope.studies.conditions import distinct_notes, folder_name, with_tokens_per_text
from rankscope.studies.response_scores import METRICS, ranked_at_length, response_scores, with_length_alone
from rankscope.studies.study import Figure, Findings, Request, Study
from rankscope.texts import TextSet, read_leaderboard, read_responses

_METRICS = (*METRICS, "tokens_per_text")
SCORES = "scores.csv"
"""File with one row per response."""
ITSELF = "itself"
_OF_PROMPTS = ("template", "split", "sample_seed")


def conduct(request: Request) -> Findings:
    """Reads or generates responses, then measures them with the judge; generated ones also with their own model."""
    options = request.options
    _folder(request)
    if (options.leaderboard is None) != (options.leaderboard_column is None):
        raise SettingsError("--leaderboard and --leaderboard-column are required together")
    if request.settings.chat:
        raise SettingsError("prompts and responses are texts, not lists of messages: omit chat")
    unread = [name for name in ("field", *_OF_PROMPTS) if getattr(request.settings, name) is not None]
    if options.responses is not None and unread:
        raise SettingsError(
            f"{', '.join(unread)}: for prompts only, and {options.responses} contains responses. Omit it"
        )
    places = None
    if options.leaderboard is not None and options.leaderboard_column is not None:  # a wrong column fails early
        places = read_leaderboard(options.leaderboard, options.leaderboard_column)
    sentences: list[str] = []
    if options.responses is None:
        responses, said = _generated(request)
        sentences += said
    else:
        responses = read_responses(options.responses)
    chosen = _common(responses, request.settings.limit)
    files = {
        name: _write(_folder(request) / "texts" / f"{place:02d}-{folder_name(name)}.jsonl", texts)
        for place, (name, texts) in enumerate(chosen.items())
    }
    rows, scores, notes = [], [], []
    judged = [(options.judge, options.judge, files)] if options.judge else []
    if options.responses is None:
        judged += [(name, ITSELF, {name: file}) for name, file in files.items()]
    for judge, called, read in judged:
        run, responders = _measured_by(request, judge, called, read)
        rows += [row | {"judge": called, "responder": responders[str(row["dataset"])]} for row in run.summary_rows()]
        scores.append(response_scores(run, called, responders, chosen))
        notes += run.notes()
    table = with_tokens_per_text(pl.DataFrame(rows, infer_schema_length=None))
    single, said = with_length_alone(pl.concat(scores, how="diagonal"))
    write_text(_folder(request) / SCORES, single.write_csv())
    sentences += said
    more: dict[str, pl.DataFrame] = {}
    if places is not None:
        table, more["correlations"], said = _ranked(request, table, places)
        more["ranking"], held = ranked_at_length(single, places)
        sentences += said + held
    number = next(iter(chosen.values()))
    sentences.append(
        f"{len(chosen)} responders were compared on {len(number.texts)} prompts that all of them answered."
    )
    told = distinct_notes([notes])
    return Findings(table.sort("judge", "matrix_nuclear_norm"), tuple(sentences), told, more, files=(SCORES,))


def _generated(request: Request) -> tuple[dict[str, TextSet], list[str]]:
    """The generated responses of each model, with sentences on responses that were cut off."""
    if len(request.data) != 1:
        raise SettingsError(f"responses takes one set of prompts, got {', '.join(request.data)}")
    longest = request.options.max_new_tokens
    sampling = GenerationSettings() if longest is None else GenerationSettings(max_new_tokens=longest)
    found: dict[str, TextSet] = {}
    sentences = []
    for model in request.models:
        place = _folder(request) / "responses" / folder_name(model)
        loading, progress = request.settings, request.progress
        file = respond(model, request.data[0], output=place, settings=sampling, loading=loading, progress=progress)
        rows = [json.loads(line) for line in file.read_text(encoding="utf-8").split("\n") if line]
        unfinished = sum(row.get("finished") is False for row in rows)
        if unfinished:
            cut = f"cut off at {sampling.max_new_tokens:,} tokens"
            sentences.append(f"{unfinished} of {len(rows)} responses of {model} were {cut}.")
        found |= read_responses(file)
    return found, sentences


def _folder(request: Request) -> Path:
    """The study's local folder.

    Raises:
        SettingsError: the request's folder is an address.
    """
    return local_path(request.folder, "study responses")


def _common(responses: Mapping[str, TextSet], limit: int | None) -> dict[str, TextSet]:
    """The responses to the first `limit` prompts that every responder answered."""
    ids = [text.id for text in next(iter(responses.values())).texts]
    for texts in responses.values():
        own = {text.id for text in texts.texts}
        ids = [one for one in ids if one in own]
    if not ids:
        raise DataError(f"no prompt was answered by all of {', '.join(responses)}: expected the same prompts for all")
    kept = set(ids[:limit])
    return {
        name: TextSet(texts.name, texts.source, tuple(text for text in texts.texts if text.id in kept))
        for name, texts in responses.items()
    }


def _write(file: Path, texts: TextSet) -> Path:
    lines = [json.dumps({"id": text.id, "response": text.text}) + "\n" for text in texts.texts]
    write_text(file, "".join(lines))
    return file


def _measured_by(request: Request, judge: str, called: str, files: Mapping[str, Path]) -> tuple[Run, dict[str, str]]:
    """The judge's run, and the responder of each of its data sets."""
    # The prompts were selected before; all texts of these files are read.
    changes: dict[str, object] = {"field": "response", "limit": None, "untrained_seeds": 0} | dict.fromkeys(_OF_PROMPTS)
    run = evaluate(
        judge,
        [str(file) for file in files.values()],
        output=_folder(request) / "runs" / folder_name(f"{judge}-{called}"),
        settings=changed(request.settings, changes),
        progress=request.progress,
        execution=request.execution,
    )
    return run, {file.name: responder for responder, file in files.items()}


def _ranked(
    request: Request, table: pl.DataFrame, places: Mapping[str, float]
) -> tuple[pl.DataFrame, pl.DataFrame, list[str]]:
    """Adds the leaderboard's column, and correlates every metric and length with it."""
    column = str(request.options.leaderboard_column)
    if column in table.columns:
        raise SettingsError(f"the leaderboard's column {column!r} has the same name as a result: rename it in the file")
    table = table.with_columns(
        pl.col("responder").replace_strict(places, default=None, return_dtype=pl.Float64).alias(column)
    )
    if table[column].null_count() == table.height:
        raise DataError(
            f"{request.options.leaderboard} contains none of {', '.join(table['responder'].unique())}: its names are "
            f"{', '.join(list(places)[:5])}, ..."
        )
    found, said = correlated(table, "judge", _METRICS, column)
    return table, found, [f"Judged by {sentence}" for sentence in said]


STUDY = Study(
    name="responses",
    question="Do metrics of instruct models' responses rank the models as people and judges do, or just by length?",
    source="Matrix Nuclear-Norm, tables 3, 4, 6 and 7",
    models=("family:instruct",),
    data=("alpaca-eval",),
    columns=(
        "judge",
        "responder",
        "texts",
        "tokens_per_text",
        "matrix_nuclear_norm",
        "normalized_matrix_entropy",
        "effective_rank",
        "loss",
    ),
    figure=Figure(
        x="tokens_per_text",
        metrics=("matrix_nuclear_norm", "normalized_matrix_entropy", "effective_rank"),
        series="judge",
        is_ordered=False,
    ),
    conduct=conduct,
    also_measures=lambda _: "the responses of models",
    decides=("untrained_seeds",),
    published=("mnn.tables3_4_6_7",),
    options=("responses", "judge", "max_new_tokens", "leaderboard", "leaderboard_column"),
)
