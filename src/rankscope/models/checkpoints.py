"""The checkpoints in a training's output folder: which are complete, their steps, and where their tokenizer is."""

from __future__ import annotations

import json
import re
import zipfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from rankscope.errors import ModelError
from rankscope.models.pico import pico_checkpoints, pico_family
from rankscope.models.pico_vlm import pico_vlm_family
from rankscope.models.weight_files import safetensors_header

STATE = "trainer_state.json"
_FIRST_NUMBER = re.compile(r"(\d+)")
_NUMBERED = re.compile(
    r"(?<![a-z])(?P<word>steps?|iterations?|iters?|checkpoint|ckpt)[-_=]?(?P<step>\d{1,12})(?![a-z0-9]|\.\d)",
    re.IGNORECASE,
)
_BARE = re.compile(r"\d{1,12}")
_DATE = re.compile(r"(?<!\d)(?:19|20)\d\d([-_.]?)(?:0[1-9]|1[0-2])\1(?:0[1-9]|[12]\d|3[01])(?!\d)")
# Prefixes of step numbers that are not names: `checkpoint_step_500`, `stage1-step1000`, `epoch=1-step=500`.
_LABELS = re.compile(
    r"(?<![a-z])(?:(?:global|checkpoint|ckpt|epoch|stage|phase|model)[-_=.]?\d*[-_=.]?)+$", re.IGNORECASE
)
_SETTINGS = ("config.json", "adapter_config.json")
_WEIGHTS = ("model*.safetensors", "pytorch_model*.bin", "adapter_model.safetensors", "adapter_model.bin", "*.gguf")
_INDICES = ("model.safetensors.index.json", "pytorch_model.bin.index.json")
_TOKENIZER = (
    "tokenizer.json", "tokenizer_config.json", "tokenizer.model", "vocab.json", "vocab.txt", "spiece.model",
)  # fmt: skip
_NAMED_BY_STEP = re.compile(r"(?:checkpoint|ckpt|global_step|step|iter|epoch)[-_]?\d+", re.IGNORECASE)
_SHARD = re.compile(r"(?P<of>model|pytorch_model)-\d{5}-of-\d{5}\.(?P<kind>safetensors|bin)")
_BEING_WRITTEN = re.compile(r"\.|tmp|.*(?:tmp|temp|partial|incomplete|unfinished)$", re.IGNORECASE)


@dataclass(frozen=True)
class Checkpoints:
    """The content of a folder of checkpoints.

    Attributes:
        whole: names of the readable ones, by step.
        unfinished: by name, why the others cannot be read.
    """

    whole: tuple[str, ...]
    unfinished: dict[str, str]


@dataclass(frozen=True)
class TrainingStep:
    """The position of a checkpoint in a training.

    Attributes:
        training: common to all its checkpoints: the reference without the checkpoint's own name.
        step: of the training.
    """

    training: str
    step: int


def training_step(reference: str) -> TrainingStep | None:
    """The training and step of a model reference; None if neither its name nor a file gives a step.

    The step of a pico model is in its record, that of a folder with a Trainer's state is in that state. Otherwise it is
    the number after step, iter, iteration, checkpoint or ckpt in the checkpoint's name (after the last `@` or `/`):
    `owner/model@step1000`, `model@stage1-step1000-tokens2B`, `out/checkpoint-500`, `global_step500`. After `@`, a bare
    number is also a step: `model@1000`. Dates, versions (`@v2`), commits, sizes (`pythia-70m`) and numbers with a unit
    (`step-10k`) are not.
    """
    reference = reference.rstrip("/")
    cut = max(reference.rfind("@"), reference.rfind("/"))
    location, mark, name = reference[: max(cut, 0)], reference[max(cut, 0) : cut + 1], reference[cut + 1 :]
    before, named = _step_in_name(name)
    if named is None and mark == "@" and _BARE.fullmatch(name) and not _DATE.fullmatch(name):
        named = int(name)
    recorded = _step_of_pico(reference)
    if recorded is None:
        recorded = step_in_state(Path(location) / name if mark == "@" else Path(reference))
    step = named if recorded is None else recorded
    training = location if mark == "@" else f"{location}{mark}{before}".rstrip("/") or "."
    return None if step is None else TrainingStep(training, step)


def step_in_name(name: str) -> int | None:
    """The step in the name of a checkpoint's folder, or None. See `training_step`."""
    return _step_in_name(name)[1]


def order_of_checkpoint(name: str) -> tuple[int, str]:
    """Sorts the names of checkpoints' folders by step, then by name; those without a step come first."""
    return step_in_name(name) or 0, name


def _step_in_name(name: str) -> tuple[str, int | None]:
    """The part of a checkpoint's name before the step, and the step; the whole name and None without a step."""
    dateless = _DATE.sub(lambda date: "x" * len(date[0]), name)
    # A step takes precedence over a checkpoint's number, and the last one over earlier ones.
    found = max(_NUMBERED.finditer(dateless), key=lambda one: (one["word"][0] in "sS", one.start()), default=None)
    if found is None:
        return name, None
    return _LABELS.sub("", name[: found.start()]).rstrip("-_=."), int(found["step"])


def _step_of_pico(reference: str) -> int | None:
    if not reference.startswith("pico"):
        return None
    steps = {model.name: model.step for model in (*pico_family(), *pico_checkpoints())}
    return steps.get(reference, {model.name: model.step for model in pico_vlm_family()}.get(reference))


def checkpoints_in(folder: Path) -> Checkpoints:
    """The `checkpoint-N` folders in a folder."""
    names = [path.name for path in folder.glob("checkpoint-*") if path.is_dir()] if folder.is_dir() else []
    names.sort(key=lambda name: (int(found[1]) if (found := _FIRST_NUMBER.search(name)) else 0, name))
    reasons = {name: why_unfinished(folder / name) for name in names}
    return Checkpoints(
        tuple(name for name, reason in reasons.items() if reason is None),
        {name: reason for name, reason in reasons.items() if reason is not None},
    )


def steps_in(folder: Path) -> dict[str, int]:
    """Subfolders whose names contain a step, by step and name; complete or not.

    Links are ignored, because they are second names such as `latest`, and so are unfinished checkpoints such as
    `tmp-checkpoint-500`. A missing folder has none.
    """
    found: dict[str, int] = {}
    with suppress(OSError):
        for path in folder.iterdir():
            step = step_in_name(path.name)
            if step is not None and not _BEING_WRITTEN.match(path.name) and path.is_dir() and not path.is_symlink():
                found[path.name] = step
    return dict(sorted(found.items(), key=lambda one: (one[1], one[0])))


def why_unreadable(folder: Path) -> str | None:
    """As `why_unfinished`; also checks for a tokenizer here or above, and truncated JSON. None if readable."""
    if reason := why_unfinished(folder):
        return reason
    is_adapter = (folder / "adapter_config.json").is_file()  # uses its base's tokenizer
    if not (is_adapter or _has_tokenizer(folder) or tokenizer_above(folder)):
        return "no tokenizer, here or in the folder above"
    for file in (folder / name for name in (*_SETTINGS, *_TOKENIZER) if name.endswith(".json")):
        if file.is_file() and not _is_json(file):
            return f"{file.name} is truncated or damaged"
    return None


def _is_json(file: Path) -> bool:
    try:
        json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        return False
    return True


def why_unfinished(folder: Path) -> str | None:
    """Why a checkpoint cannot be read: no configuration, no weights, or a truncated file; None if it can."""
    if not any((folder / name).is_file() for name in _SETTINGS):
        return "no config.json"
    files = {file.name: file for pattern in _WEIGHTS for file in sorted(folder.glob(pattern))}
    for index in (folder / name for name in _INDICES):
        if index.is_file():
            files |= {name: folder / name for name in _named_by(index)}
    if not files:
        return "no weights"
    for shard in filter(None, map(_SHARD.fullmatch, files)):  # the index is written last
        name_of_index = f"{shard['of']}.{shard['kind']}.index.json"
        if not (folder / name_of_index).is_file():
            return f"{name_of_index} is missing"
    for name, file in files.items():
        if not file.is_file():
            return f"{name} is missing"
        if _is_cut_off(file):
            return f"{name} is truncated"
    return None


def step_in_state(folder: Path) -> int | None:
    """The step in a Trainer's state; None if the state is missing, empty or damaged."""
    try:
        state = json.loads((folder / STATE).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    step = state.get("global_step") if isinstance(state, dict) else None
    return step if isinstance(step, int) and not isinstance(step, bool) else None


def tokenizer_above(folder: Path) -> Path | None:
    """The parent of a checkpoint without a tokenizer, if that has one: a Trainer saves it there."""
    name = folder.resolve().name
    if (not _NAMED_BY_STEP.fullmatch(name) and step_in_name(name) is None) or _has_tokenizer(folder):
        return None
    parent = folder.resolve().parent
    return parent if _has_tokenizer(parent) else None


def _has_tokenizer(folder: Path) -> bool:
    return any((folder / name).is_file() for name in _TOKENIZER)


def _named_by(index: Path) -> list[str]:
    """The files listed in an index; the index itself if it is unreadable, which then counts as truncated."""
    try:
        return sorted({str(name) for name in json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()})
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return [index.name]


def _is_cut_off(file: Path) -> bool:
    if file.suffix == ".safetensors":
        return not _is_whole_safetensors(file)
    if file.suffix == ".json":
        return True
    return file.stat().st_size == 0 or (_starts_as_zip(file) and not zipfile.is_zipfile(file))


def _starts_as_zip(file: Path) -> bool:
    with file.open("rb") as content:
        return content.read(2) == b"PK"


def _is_whole_safetensors(file: Path) -> bool:
    try:
        safetensors_header(file)
    except ModelError:
        return False
    return True
