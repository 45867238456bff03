"""`respond`: a model's responses to a data set of prompts, saved line by line.

The folder contains `manifest.json`, with the call and versions, and `responses.jsonl`, with one line per prompt: `id`,
`model`, `prompt`, `response`, `tokens`, `finished`, `reason`. If the model cannot answer, `reason` explains why, and
`response`, `tokens` and `finished` are null.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from rankscope.errors import SettingsError
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
from rankscope.runs.answers import Answers
from rankscope.runs.carry_out import Group, Unit, carry_out
from rankscope.runs.folder import open_run_folder
from rankscope.runs.identity import UnitKey, model_entry
from rankscope.runs.progress import Progress, Silent
from rankscope.runs.record import Record
from rankscope.runs.session import now, versions
from rankscope.runs.storage import local_path
from rankscope.runs.twin_cache import key_of
from rankscope.settings import Settings
from rankscope.texts import load_texts, parse_data_reference

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from pathlib import Path

    from transformers import PreTrainedModel

    from rankscope.measuring import Row
    from rankscope.models import ModelDescription, UnansweredPrompt
    from rankscope.texts import TextSet

RESPONSES = "responses.jsonl"
_UNIT = "responses"


def respond(
    model: str,
    data: str,
    *,
    output: str | Path,
    settings: GenerationSettings | None = None,
    loading: Settings | None = None,
    progress: Progress | None = None,
) -> Path:
    """Generates a model's responses to the prompts of a data set; repeating the call answers only missing prompts.

    Each response is flushed to disk when its batch is done. A partial line left by a killed process is dropped.
    Batch size changes responses only by rounding (see `generate`), so it may differ between calls; all other
    differences are rejected.

    Args:
        model: A model reference.
        data: A data reference whose texts are prompts: `alpaca-eval`, `arena-hard`, or a file with a field.
        output: The folder for manifest and responses.
        settings: Sampling settings. Default: 1,000 new tokens at temperature 0.7.
        loading: Settings of which only `field`, `template`, `split`, `limit`, `sample_seed`, `on_bad_row`, `dtype`,
            `device` and `trust_remote_code` are used.
        progress: Receives progress, in prompts.

    Returns:
        The file of responses, for `read_responses`.

    Raises:
        CallError: the call was wrong, for example because no prompt leaves room for `max_new_tokens`.
        StorageError: a response could not be written.
        RankscopeError: the device ran out of memory.
    """
    progress, loading, settings = progress or Silent(), loading or Settings(), settings or GenerationSettings()
    progress.say("reading prompts, tokenizer and configuration")
    placement = Placement(loading.dtype, resolve_device(loading.device))
    reference = parse_data_reference(data, loading.field, loading.template, loading.split)
    description = describe_model(parse_model_reference(model), trust_remote_code=loading.trust_remote_code)
    prompts = load_texts(reference, limit=loading.limit, sample_seed=loading.sample_seed, on_bad_row=loading.on_bad_row)
    task = _Task(description, prompts, settings, placement.of(description.config))
    folder = open_run_folder(local_path(output, "responses"), task.identity, progress.say, (_UNIT,))
    session: dict[str, Any] = {"started": now(), "finished": None, "versions": versions(), "source": prompts.source}
    record = Record(folder, session)
    store = Answers(folder.path / RESPONSES, tuple(prompt.id for prompt in prompts.texts))
    if store.is_finished():
        progress.say("all prompts have been answered")
    carry_out([Group((_unit(task, store, record),), partial(_load, task))], progress)
    counts = _counts(store.rows())
    progress.say(_told(counts, settings))
    record.conclude(responses=counts)
    if not counts["answered"]:
        reason = next(iter(store.rows().values()))["reason"]
        raise SettingsError(
            f"{model} cannot answer any of {len(prompts.texts)} prompts ({reason}): lower max_new_tokens"
        )
    return store.file


@dataclass(frozen=True)
class _Task:
    """One model and its prompts."""

    model: ModelDescription
    prompts: TextSet
    settings: GenerationSettings
    placement: Placement

    @property
    def identity(self) -> dict[str, Any]:
        """Everything that determines the answers, except versions; batch size does not."""
        sampling = {name: value for name, value in asdict(self.settings).items() if name != "batch_size"}
        entry = model_entry(
            self.model.reference.text,
            self.model.revision,
            self.model.parts,
            chat_template=chat_template_digest(self.model.tokenizer),
            generation=generation_digest(self.model.reference),
        )
        return {
            "settings": sampling | {"dtype": self.placement.dtype, "device": self.placement.device},
            "model": entry,
            "prompts": {"name": self.prompts.name, "fingerprint": self.prompts.fingerprint},
        }


def _unit(task: _Task, store: Answers, record: Record) -> Unit:
    return Unit(
        name=_UNIT,
        key=UnitKey(task.prompts.fingerprint, key_of(task.identity)),
        record=record,
        store=store,
        label=f"{task.model.reference.label} answers {task.prompts.name}",
        sizes=(1,) * len(task.prompts.texts),
        counted="prompts",
        measure=partial(_answer, task, store),
    )


def _load(task: _Task, progress: Progress) -> PreTrainedModel:
    progress.say(f"{task.model.reference.label}: loading weights")
    network = load_model(task.model, task.placement)
    refuse_changed(task.model)
    return network


def _answer(
    task: _Task, store: Answers, network: PreTrainedModel, done: Collection[int]
) -> Iterator[tuple[int, list[Row]]]:
    """Yields the missing answers, by the index of their prompts."""
    store.drop_half_a_line()
    texts = task.prompts.texts
    missing = {prompt.id: place for place, prompt in enumerate(texts) if place not in done}
    for one in generate(network, task.model.tokenizer, [texts[place] for place in missing.values()], task.settings):
        yield missing[one.id], [_row(one, task.model.reference.text)]


def _row(answer: Response | UnansweredPrompt, model: str) -> dict[str, Any]:
    row: dict[str, Any] = {"id": answer.id, "model": model, "prompt": answer.prompt}
    if isinstance(answer, Response):
        return row | {"response": answer.text, "tokens": answer.tokens, "finished": answer.finished, "reason": None}
    return row | {"response": None, "tokens": None, "finished": None, "reason": answer.reason}


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
        told += f"; {counts['unfinished']:,} responses were cut off at {settings.max_new_tokens:,} tokens"
    if counts["unanswered"]:
        told += f"; {counts['unanswered']:,} prompts left no room for an answer"
    return told
