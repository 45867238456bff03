"""The settings of an evaluation: one dataclass shared by the library, the command line and the manifest."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar, get_type_hints

from rankscope.errors import SettingsError, UnknownNameError
from rankscope.setting_values import at_least, canonical, one_of, utf8

Protocol = Literal["default", "paper", "permuted", "revision"]
OnBadRow = Literal["stop", "skip"]
Pool = Literal["mean", "last", "first"]
DataType = Literal["auto", "float32", "bfloat16", "float16"]
SpectraDtype = Literal["float32", "float64"]
Perturbation = Literal[
    "words-shuffled",
    "words-reversed",
    "words-shuffled-reversed",
    "tokens-shuffled",
    "tokens-reversed",
    "tokens-shuffled-reversed",
]


@dataclass(frozen=True)
class Settings:
    """What an evaluation measures, apart from which models and texts.

    Python values are accepted: layers and metrics as lists, layers and drop_tokens as numbers, file names as paths,
    and untrained_seeds=None for no twin. They are stored in the form of the command line and the manifest:
    `layers=[0, 3]` becomes "0,3".

    Attributes:
        limit: Use the first N usable texts in the data set's order; with sample-seed, a random sample of N.
        sample_seed: Draw a random sample of texts with this seed instead of taking the first ones.
        field: The field that holds the text, for files, folders and hub data sets; a.b is a nested field.
        template: Build the text from several fields, such as "{question} {answer}", instead of one field.
        split: The split of a hub data set.
        chat: The field holds messages; each model's own chat template turns them into text. Default field: messages,
            else conversations.
        on_bad_row: What to do with a malformed line or a row without the field: stop with an error, or skip and count.
        layers: last, first, middle, all, or indices such as 3,7,-1. 0 is the embeddings, k the output of block k.
        untrained_seeds: Number of untrained twins, with seeds 0 to K-1; 0 for none.
        protocol: What the trained model is compared with. default: an untrained twin in eval mode; paper: a twin in
            train mode, float32, one text at a time; permuted: the trained weights shuffled within each tensor;
            revision: a real checkpoint, given by untrained-from.
        untrained_from: The checkpoint for protocol revision, such as EleutherAI/pythia-70m@step0; @step0 alone means
            that revision of each model.
        config_from: Configuration with the initialisation of untrained twins, for models whose files lack it (GGUF):
            a folder with config.json, a config.json, or a hub id, of the same architecture.
        initializer_range: Initialise untrained twins with this initializer_range, such as 0.02. Results are marked as
            based on this assumption.
        metrics: Comma-separated names. Default: all but those that rankscope list metrics marks as only if named.
        prefix: Text to put before every text, for example an instruction; joined by a space.
        perturbation: Reorder every text: words-shuffled, words-reversed, words-shuffled-reversed, and the same with
            tokens. Special tokens and white space between words stay in place.
        window: Split every text into windows of this many tokens, so that lengths match across models.
        special_tokens: Add the tokenizer's own special tokens (such as BOS) to every text and every window. They
            count towards its length.
        drop_tokens: Exclude attention sinks: first, a number of leading tokens, or massive.
        pool: Also pool each text's states into one vector (mean, last or first), and measure these vectors over the
            data set: RankMe, alpha-ReQ, effective rank, stable rank and uniformity.
        max_length: Truncate texts to this many tokens, or to the model's maximum number of positions if lower.
        skip_overlong: Skip and count texts longer than max-length instead of truncating them.
        batch_tokens: Tokens per batch, including padding. Default: 1,024 on a CPU, 16,384 elsewhere.
        dtype: Precision of the forward pass. auto: float32 on a CPU and the checkpoint's own dtype on an accelerator
            (bfloat16 instead of float16 if supported).
        spectra_dtype: Precision of spectra: float64, or float32 for accelerators with slow float64, which changes the
            effective rank by up to 1e-5 of its value. Default: float64; on a CPU, float32 if the data show that it
            is accurate to 1e-6.
        device: cpu, cuda, cuda:1 or mps; auto: the first accelerator; spread: divide the model over all of them.
        twin_cache: Cache twins' measurements for other runs with the same architecture and texts.
        trust_remote_code: Run modelling code that comes with the model. It can do anything that you can.
    """

    limit: int | None = None
    sample_seed: int | None = None
    field: str | None = None
    template: str | None = None
    split: str | None = None
    chat: bool = False
    on_bad_row: OnBadRow = "stop"
    layers: str = "last"
    untrained_seeds: int = 1
    protocol: Protocol = "default"
    untrained_from: str | None = None
    config_from: str | None = None
    initializer_range: float | None = None
    metrics: str | None = None
    prefix: str | None = None
    perturbation: Perturbation | None = None
    window: int | None = None
    special_tokens: bool = True
    drop_tokens: str | None = None
    pool: Pool | None = None
    max_length: int = 2048
    skip_overlong: bool = False
    batch_tokens: int | None = None
    dtype: DataType = "auto"
    spectra_dtype: SpectraDtype | None = None
    device: str = "auto"
    twin_cache: bool = True
    trust_remote_code: bool = False

    def __post_init__(self) -> None:
        _make_canonical(self)
        at_least("limit", self.limit, 1)
        at_least("untrained_seeds", self.untrained_seeds, 0)
        at_least("max_length", self.max_length, 2)
        at_least("batch_tokens", self.batch_tokens, 1)
        at_least("window", self.window, 2)
        if (self.protocol == "revision") != (self.untrained_from is not None):
            raise SettingsError("protocol 'revision' and untrained_from (a checkpoint) must be given together")
        if self.protocol == "revision" and self.untrained_seeds > 1:
            raise SettingsError("a checkpoint has no seeds: with protocol 'revision', leave untrained_seeds at 1")
        self._check_texts()
        self._check_initializer()
        if self.field is not None and self.template is not None:
            raise SettingsError("field and template both define the text: give only one of them")
        if self.protocol == "paper" and self.dtype not in ("auto", "float32"):
            raise SettingsError(f"protocol 'paper' runs in float32, got dtype {self.dtype!r}: omit dtype")
        if self.protocol == "paper" and self.batch_tokens is not None:
            raise SettingsError("protocol 'paper' runs one text at a time: omit batch_tokens")
        for name in ("field", "template", "prefix"):
            utf8(name, getattr(self, name))
        if self.metrics is not None:
            _ = self.metric_names  # refuses unknown ones

    def _check_texts(self) -> None:
        if self.skip_overlong and self.window is not None:
            raise SettingsError("window splits texts of any length: omit skip_overlong")
        if not self.chat:
            return
        if not self.special_tokens:
            raise SettingsError("with chat, special tokens come from the chat template: leave special_tokens unchanged")
        words = (self.perturbation or "").startswith("words-")
        for name, is_given in (("template", self.template), ("prefix", self.prefix), ("perturbation of words", words)):
            if is_given:
                raise SettingsError(f"chat measures messages unchanged, but {name} changes texts: give only one")

    def _check_initializer(self) -> None:
        if self.config_from is not None and self.initializer_range is not None:
            raise SettingsError(
                "config_from and initializer_range both set the initialisation of twins: give only one of them"
            )
        if self.initializer_range is not None and not 0 < self.initializer_range < math.inf:
            raise SettingsError(f"initializer_range must be greater than 0, got {self.initializer_range}")
        given = "config_from" if self.config_from is not None else "initializer_range"
        if self.protocol in ("permuted", "revision") and getattr(self, given) is not None:
            raise SettingsError(f"protocol {self.protocol!r} does not initialise a network: omit {given}")

    @property
    def metric_names(self) -> tuple[str, ...]:
        """The selected metrics. Matrix entropy is added to effective rank, whose mean is computed from it."""
        from rankscope.metrics.table import metric_names, with_what_they_need  # imports torch

        if self.metrics is None:
            return metric_names(default_only=True)
        return with_what_they_need(name.strip() for name in self.metrics.split(","))

    @property
    def identity(self) -> dict[str, object]:
        """The settings that affect the numbers: all but twin_cache."""
        return {name: getattr(self, name) for name in self.names() if name != "twin_cache"}

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """The names of all settings."""
        return tuple(field.name for field in dataclasses.fields(cls))


@dataclass(frozen=True)
class StudyOptions:
    """What a study covers, and additional inputs of some studies.

    Attributes:
        models: Model references; family:NAME means all models of a family (rankscope list models). Default: the
            paper's models.
        data: As for evaluate. Default: the paper's data sets.
        tasks: Benchmarks to measure accuracy on: names, or NAME=PATH[,PATH] for local files; none for no accuracy.
        images: For multimodal and rotation: the folder that image paths are relative to.
        prompt: For multimodal and rotation: the instruction of all pairs, for data without instructions.
        responses: For responses: a file of existing responses (.jsonl, .json; also .gz), instead of generating them.
        max_new_tokens: For responses: maximum length of a response. Default: 1,000, as in the papers.
        judge: For responses: one model that reads all responses.
        leaderboard: For responses: a CSV file with a row for each responding model.
        leaderboard_column: For responses: the column of the leaderboard to rank by.
        variants: For compression: the same model with other weights, such as GGUF files of several quantisations.
        remove: For compression: also remove this many blocks.
        write: For compression: save the model without the blocks that the best ranking removes first, as a folder that
            transformers loads; with remove, which says how many.
    """

    models: tuple[str, ...] | None = None
    data: tuple[str, ...] | None = None
    tasks: tuple[str, ...] | None = None
    images: Path | None = None
    prompt: str | None = None
    responses: Path | None = None
    max_new_tokens: int | None = None
    judge: str | None = None
    leaderboard: Path | None = None
    leaderboard_column: str | None = None
    variants: tuple[str, ...] | None = None
    remove: int | None = None
    write: Path | None = None


CONTROL_NAMES = ("rotated-90", "rotated-180", "rotated-270", "mirrored", "blank", "noise", "shuffled")
"""Replacements for the images of an alignment."""


@dataclass(frozen=True)
class AlignmentSettings:
    """What an alignment measures, apart from which models and data.

    Python values are accepted, as in `Settings`: control may be a list.

    Attributes:
        limit: Use the first N pairs in the data set's order.
        control: Comma-separated: rotated-90, rotated-180, rotated-270 (clockwise), mirrored, blank, noise, or shuffled
            (each text with the image of another pair). Each is compared with the original images.
        images: The folder that image paths are relative to. Default: the data file's folder.
        image_field: The field with the image.
        instruction_field: The field with the instruction, in rows that have one.
        response_field: The field with the response.
        prompt: The instruction of all pairs, for data without instructions.
        split: The split of a hub data set.
        max_length: Truncate texts to this many tokens.
        integration_items: Number of pairs for the Modality Integration Rate (MIR); 0 for none. Needs memory for two
            matrices of hidden size by hidden size per layer.
        dtype: Precision of the forward pass. auto: float32 on a CPU and the checkpoint's own dtype on an accelerator
            (bfloat16 instead of float16 if supported).
        device: cpu, cuda, cuda:1 or mps; auto: the first accelerator; spread: divide the model over all of them.
        trust_remote_code: Run modelling code that comes with the model. It can do anything that you can.
    """

    limit: int | None = None
    control: str | None = None
    images: str | None = None
    image_field: str = "image"
    instruction_field: str = "instruction"
    response_field: str = "response"
    prompt: str = ""
    split: str | None = None
    max_length: int = 2048
    integration_items: int = 100
    dtype: DataType = "auto"
    device: str = "auto"
    trust_remote_code: bool = False

    def __post_init__(self) -> None:
        _make_canonical(self)
        at_least("limit", self.limit, 1)
        at_least("max_length", self.max_length, 2)
        at_least("integration_items", self.integration_items, 0)
        for name in ("image_field", "instruction_field", "response_field", "prompt"):
            utf8(name, getattr(self, name))
        for name in self.controls:
            one_of("control", name, CONTROL_NAMES)

    @property
    def controls(self) -> tuple[str, ...]:
        """The selected controls, each once."""
        if self.control is None:
            return ()
        return tuple(dict.fromkeys(name.strip() for name in self.control.split(",")))


_AnySettings = TypeVar("_AnySettings", Settings, AlignmentSettings)


def changed(settings: _AnySettings, changes: Mapping[str, object]) -> _AnySettings:
    """A copy of the settings with some values replaced.

    Raises:
        UnknownNameError: a name that is not a setting, with close matches.
        SettingsError: a value of the wrong type or out of range.
    """
    names = [field.name for field in dataclasses.fields(settings)]
    for name in changes:
        if name not in names:
            raise UnknownNameError("setting", name, names)
    return dataclasses.replace(settings, **changes)  # type: ignore[arg-type]


def kinds_of(settings: type[Settings | AlignmentSettings]) -> dict[str, Any]:
    """The type of each setting, by name."""
    return get_type_hints(settings)


def _make_canonical(settings: Settings | AlignmentSettings) -> None:
    for name, kind in kinds_of(type(settings)).items():
        object.__setattr__(settings, name, canonical(name, getattr(settings, name), kind))  # the dataclass is frozen
