"""`respond`: a model's responses to a data set of prompts, kept line by line.

The folder holds `manifest.json`, what was asked for on which versions, and `responses.jsonl`, a line for each
prompt: `id`, `model`, `prompt`, `response`, `tokens`, `finished`, `reason`. Where there can be no answer `reason` says
why, and what belongs to an answer is null.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rankscope.errors import SettingsError, StorageError
from rankscope.models import (
    GenerationSettings,
    Placement,
    Response,
    chat_template_digest,
    describe_model,
    generate,
    generation_digest,
    load_model,
    parse_model_reference,
    refuse_changed,
    resolve_device,
)
from rankscope.runs.identity import UnitKey, model_entry
from rankscope.runs.progress import Progress, Silent
from rankscope.runs.record import Record
from rankscope.runs.session import now, versions
from rankscope.runs.store import open_run_folder
from rankscope.runs.twin_cache import key_of
from rankscope.settings import Settings
from rankscope.texts import load_texts, parse_data_reference
from rankscope.texts.files import read_path

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rankscope.models import ModelDescription, UnansweredPrompt
    from rankscope.texts import TextSet

RESPONSES = "responses.jsonl"


def respond(
    model: str,
    data: str,
    *,
    output: str | Path,
    settings: GenerationSettings | None = None,
    loading: Settings | None = None,
    progress: Progress | None = None,
) -> Path:
    """Lets a model answer the prompts of a data set; the same call again answers only what is missing.

    Each response is flushed to the disk when its batch is done. What a kill leaves of a half-written line
    is dropped. Batches of another size give the same responses but for rounding (see `generate`), so the
    batch size may change from call to call; every other difference is refused.

    Args:
        model: a model reference.
        data: a data reference whose texts are prompts: `alpaca-eval`, `arena-hard`, or a file with a field.
        output: the folder.
        settings: how to sample; 1,000 new tokens at temperature 0.7 if left out.
        loading: of these `field`, `template`, `split`, `limit`, `sample_seed`, `on_bad_row`, `dtype`, `device` and
            `trust_remote_code` are used.
        progress: told of progress, in prompts.

    Returns:
        The file of responses, for `read_responses`.

    Raises:
        CallError: the call was wrong, among others a model without room for `max_new_tokens` after any prompt.
        StorageError: a response could not be written.
        RankscopeError: the device ran out of memory.
    """
    progress, loading, settings = progress or Silent(), loading or Settings(), settings or GenerationSettings()
    progress.say("reading prompts, tokenizer and configuration")
    placement = Placement(loading.dtype, resolve_device(loading.device))
    reference = parse_data_reference(data, loading.field, loading.template, loading.split)
    description = describe_model(parse_model_reference(model), trust_remote_code=loading.trust_remote_code)
    prompts = load_texts(reference, limit=loading.limit, sample_seed=loading.sample_seed, on_bad_row=loading.on_bad_row)
    identity = _identity(description, prompts, settings, placement)
    with open_run_folder(Path(output), identity, progress.say) as (folder, manifest):
        session: dict[str, Any] = {"started": now(), "finished": None, "versions": versions(), "source": prompts.source}
        record = Record(folder, manifest, session)
        file = folder.path / RESPONSES
        there = _answered(file)
        missing = [prompt for prompt in prompts.texts if prompt.id not in there]
        progress.say(f"{description.reference.label}: loading weights" if missing else "all prompts are answered")
        if missing:
            network = load_model(description, placement)
            refuse_changed(description)
            record.begin("responses", UnitKey(prompts.fingerprint, key_of(identity)), progress)
            progress.start(f"{description.reference.label} answers {prompts.name}", len(prompts.texts), "prompts")
            progress.advance(len(there), computed=False)
            for answer in generate(network, description.tokenizer, missing, settings):
                row = _row(answer, model)
                _append(file, row)
                there[answer.id] = row
                progress.advance(1, computed=True)
        counts = _counts(there)
        progress.say(_told(counts, settings))
        record.conclude(responses=counts)
    if not counts["answered"]:
        reason = next(iter(there.values()))["reason"]
        raise SettingsError(f"{model} can answer none of {len(there)} prompts ({reason}): lower max_new_tokens")
    return file


def _identity(
    model: ModelDescription, prompts: TextSet, settings: GenerationSettings, placement: Placement
) -> dict[str, Any]:
    sampling = {name: value for name, value in asdict(settings).items() if name != "batch_size"}
    entry = model_entry(
        model.reference.text,
        model.revision,
        model.parts,
        chat_template=chat_template_digest(model.tokenizer),
        generation=generation_digest(model.reference),
    )
    return {
        "settings": sampling | {"dtype": placement.dtype, "device": placement.device},
        "model": entry,
        "prompts": {"name": prompts.name, "fingerprint": prompts.fingerprint},
    }


def _answered(file: Path) -> dict[str, Mapping[str, Any]]:
    """The rows that are there, by id; a line without its end is cut off."""
    if not file.exists():
        return {}
    with file.open("rb+") as content:
        whole = content.read()
        content.truncate(whole.rfind(b"\n") + 1)
    return {str(row["id"]): row for _, row in read_path(file)}


def _row(answer: Response | UnansweredPrompt, model: str) -> dict[str, Any]:
    row: dict[str, Any] = {"id": answer.id, "model": model, "prompt": answer.prompt}
    if isinstance(answer, Response):
        return row | {"response": answer.text, "tokens": answer.tokens, "finished": answer.finished, "reason": None}
    return row | {"response": None, "tokens": None, "finished": None, "reason": answer.reason}


def _append(file: Path, row: dict[str, Any]) -> None:
    try:
        with file.open("ab") as lines:
            lines.write(json.dumps(row).encode() + b"\n")
            lines.flush()
            os.fsync(lines.fileno())
    except OSError as error:
        raise StorageError(
            f"could not write {file}: {error.strerror or error}. What was finished is kept: make room, then give "
            "the same command again"
        ) from error


def _counts(rows: Mapping[str, Mapping[str, Any]]) -> dict[str, int]:
    answered = [row for row in rows.values() if row["response"] is not None]
    return {
        "prompts": len(rows),
        "answered": len(answered),
        "unfinished": sum(not row["finished"] for row in answered),
        "unanswered": len(rows) - len(answered),
    }


def _told(counts: dict[str, int], settings: GenerationSettings) -> str:
    told = f"{counts['answered']:,} of {counts['prompts']:,} prompts answered"
    if counts["unfinished"]:
        told += f"; {counts['unfinished']:,} responses stopped at {settings.max_new_tokens:,} tokens, unfinished"
    if counts["unanswered"]:
        told += f"; {counts['unanswered']:,} prompts without room for an answer"
    return told
