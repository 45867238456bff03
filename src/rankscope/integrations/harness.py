"""Accuracy on multiple-choice benchmarks, with lm-evaluation-harness, for a model that is already loaded.

The harness defines everything that affects the number: prompts, answers, scoring and aggregation
(https://github.com/EleutherAI/lm-evaluation-harness). rankscope only chooses where the rows come from.
"""

from __future__ import annotations

import copy
import io
import json
import logging
import sys
import tempfile
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rankscope.errors import DataError, MissingExtraError, RankscopeError, SettingsError, UnknownNameError, first_line
from rankscope.texts.benchmark_rows import COLUMNS
from rankscope.texts.files import read_files

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lm_eval.api.task import Task
    from lm_eval.models.huggingface import HFLM
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


@dataclass(frozen=True)
class TaskReference:
    """A task of the harness and local files with its rows; without files, the task's own data set on the hub."""

    name: str
    files: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Accuracy:
    """The harness's result for one task.

    Attributes:
        task: its name.
        accuracy: the share of items whose correct answer has the highest log-likelihood (`acc`).
        standard_error: of the accuracy over items; None for a single item.
        accuracy_normalized: with log-likelihoods divided by the answers' lengths in bytes
            (`acc_norm`); None if the task does not report it.
        items: number of items answered.
        truncated: questions truncated at the beginning because question and answer exceed the model's positions;
            counted once per answer.
        task_version: of the harness's task definition.
        harness: version of lm_eval.
    """

    task: str
    accuracy: float
    standard_error: float | None
    accuracy_normalized: float | None
    items: int
    truncated: int
    task_version: str
    harness: str


def parse_task_reference(text: str) -> TaskReference:
    """Parses `name`, or `name=PATH[,PATH]` as in the catalogue of texts: `piqa=valid.jsonl,valid-labels.lst`.

    Raises:
        DataError: a path that does not exist.
    """
    name, _, paths = text.partition("=")
    files = tuple(Path(path) for path in paths.split(",")) if paths else ()
    for file in files:
        if not file.exists():
            raise DataError(f"data file not found: {file}")
    return TaskReference(name, files)


def harness_version() -> str:
    """The installed version of lm-evaluation-harness.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        return metadata.version("lm_eval")
    except metadata.PackageNotFoundError as error:
        raise MissingExtraError("harness", "lm-evaluation-harness") from error


def accuracies(
    network: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    tasks: Sequence[TaskReference | str],
    *,
    limit: int | None = None,
    batch_size: int = 8,
) -> list[Accuracy]:
    """Zero-shot accuracy of a loaded model, for each task.

    The harness scores each answer by its log-likelihood after the question. It adds the special tokens that the
    tokenizer adds by default (a BOS token or none) and uses no chat template. If question and answer exceed the
    model's positions, tokens at the beginning are dropped. rankscope changes none of this. The model runs in eval
    mode, in its own dtype, on its own device, and is returned to its previous mode.

    With local files, only the source of the rows in the harness's task definition changes; the hub is not contacted.
    Rows of openbookqa, piqa and winogrande may have the hub's columns or the original release's; rows of other tasks
    need the hub's columns.

    Args:
        network: a causal language model.
        tokenizer: its own.
        tasks: any single tasks of the harness that report `acc`; see `parse_task_reference`.
        limit: use only the first `limit` items of each task.
        batch_size: number of answers scored at once.

    Raises:
        MissingExtraError: lm-eval is not installed.
        UnknownNameError: no such task.
        SettingsError: a group of tasks, a task without `acc`, or a limit or batch size below 1.
        DataError: missing or malformed rows, or a data set that the hub does not provide.
        RankscopeError: a single answer is longer than the model's positions.
    """
    try:
        import lm_eval.models.huggingface  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("harness", "lm-evaluation-harness") from error
    for name, value in (("limit", limit), ("batch_size", batch_size)):
        if value is not None and value < 1:
            raise SettingsError(f"{name} must be an integer of at least 1, got {value}")
    references = [parse_task_reference(task) if isinstance(task, str) else task for task in tasks]
    training = network.training
    try:
        # The harness adds a padding token to a tokenizer without one, so it gets a copy.
        return [_accuracy(reference, network, copy.deepcopy(tokenizer), limit, batch_size) for reference in references]
    finally:
        network.train(training)


def _accuracy(
    reference: TaskReference,
    network: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    limit: int | None,
    batch_size: int,
) -> Accuracy:
    from lm_eval import __version__, evaluate
    from lm_eval.models.huggingface import HFLM

    with tempfile.TemporaryDirectory(prefix="rankscope-") as folder, _quiet():
        task = _open_task(reference, Path(folder))
        model = HFLM(pretrained=network, tokenizer=tokenizer, batch_size=batch_size)
        truncated = _count_truncated(task, model, limit)
        results = evaluate(model, {"tasks": {reference.name: task}}, limit=limit, log_samples=False)
    numbers = results["results"][reference.name]
    spread = numbers["acc_stderr,none"]
    return Accuracy(
        task=reference.name,
        accuracy=numbers["acc,none"],
        standard_error=None if spread == "N/A" else spread,
        accuracy_normalized=numbers.get("acc_norm,none"),
        items=results["n-samples"][reference.name]["effective"],
        truncated=truncated,
        task_version=str(task.VERSION),
        harness=__version__,
    )


def _open_task(reference: TaskReference, folder: Path) -> Task:
    """The harness's own task, zero-shot, reading local files if given."""
    from jinja2 import TemplateError
    from lm_eval.tasks import TaskManager

    definition: dict[str, Any] = {"include": str(_definition(reference.name)), "num_fewshot": 0}
    if reference.files:
        rows = folder / "rows"
        rows.mkdir()
        _write_rows(reference, rows / "test.jsonl")
        definition |= {
            # A folder: for `json` with `data_files`, the datasets library would report its use to a server.
            "dataset_path": str(rows),
            "dataset_name": None,
            "dataset_kwargs": {"cache_dir": str(folder / "cache")},
            "training_split": None,
            "validation_split": None,
            "test_split": "test",
            "fewshot_split": None,
        }
    file = folder / "task.yaml"
    file.write_text(json.dumps(definition), encoding="utf-8")  # JSON is YAML
    try:
        (task,) = TaskManager(include_defaults=False).load(str(file))["tasks"].values()
    except (OSError, ValueError, RuntimeError, KeyError, TemplateError) as error:
        raise DataError(f"the harness could not read the rows of task {reference.name}: {first_line(error)}") from error
    metrics = [metric["metric"] for metric in task.config.metric_list or ()]
    if task.OUTPUT_TYPE != "multiple_choice" or "acc" not in metrics:
        raise SettingsError(
            f"task {reference.name} must be a multiple-choice task that reports acc; it reports "
            f"{', '.join(map(str, metrics)) or 'only custom metrics'}"
        )
    return task


def _definition(name: str) -> Path:
    """The file in which the harness defines a task."""
    import lm_eval.tasks
    from lm_eval.tasks import TaskManager

    # Many tasks are in a folder of their name; indexing all fourteen thousand takes seconds.
    own = Path(lm_eval.tasks.__file__).parent / name
    manager = TaskManager(include_path=own, include_defaults=False)
    if name not in manager.task_index:
        manager = TaskManager()
    if name not in manager.task_index:
        raise UnknownNameError("task", name, manager.all_tasks)
    entry = manager.task_index[name]
    if name not in manager.all_subtasks or entry.cfg is None or "class" in entry.cfg:
        raise SettingsError(f"{name} is a task group or is defined by code: use a single task with its own file")
    return Path(entry.yaml_path)


def _write_rows(reference: TaskReference, place: Path) -> None:
    """Local rows as JSON lines with the hub's columns."""
    columns = COLUMNS.get(reference.name, dict)
    written = 0
    with place.open("w", encoding="utf-8") as file:
        for where, row in read_files(reference.files):
            try:
                file.write(json.dumps(columns(row)) + "\n")
            except DataError as error:
                raise DataError(f"{where}: {error}") from error
            written += 1
    if not written:
        raise DataError(f"{', '.join(map(str, reference.files))}: no rows")


def _count_truncated(task: Task, model: HFLM, limit: int | None) -> int:
    """The number of question-and-answer pairs that the harness will truncate at the beginning.

    Raises:
        RankscopeError: a single answer is longer than the model's positions; the harness would stop.
    """
    task.build_all_requests(limit=limit, rank=0, world_size=1)
    truncated = 0
    for request in task.instances:
        question, answer = request.args
        both = len(model.tok_encode(question + answer))
        if both - len(model.tok_encode(question)) > model.max_length:
            raise RankscopeError(
                f"task {task.config.task}, item {request.doc_id}: an answer is longer than "
                f"the model's {model.max_length} positions"
            )
        truncated += both > model.max_length + 1  # the last token is predicted, not read
    return truncated


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps standard output clean; progress goes to standard error if that is a terminal."""
    log = logging.getLogger("lm_eval")
    level = log.level
    log.setLevel(logging.ERROR)
    with redirect_stdout(sys.stderr), redirect_stderr(sys.stderr if sys.stderr.isatty() else io.StringIO()):
        try:
            yield
        finally:
            log.setLevel(level)
