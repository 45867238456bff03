"""The settings of an evaluation: one dataclass that the library, the command line and the manifest share."""

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
    """What an evaluation does, apart from which models and texts.

    Values are Python's: layers and metrics may be lists, layers and drop_tokens numbers, names of files paths, and
    untrained_seeds None for no twin. They are kept in the form that the command line and a manifest have:
    `layers=[0, 3]` becomes "0,3".

    Attributes:
        limit: The first N usable texts in the data set's order; with sample-seed a random N of them.
        sample_seed: Draw a random sample of texts with this seed instead of the first ones.
        field: The field that holds the text, for files, folders and hub data sets; a.b reaches inside.
        template: The text of a row, such as "{question} {answer}", instead of one field.
        split: The split of a hub data set.
        chat: The field holds messages, which each model's own chat template turns into a text. The field is messages,
            else conversations, unless it is named.
        on_bad_row: A malformed line or a row without the field: stop with an error, or skip and count it.
        layers: last, first, middle, all, or indices such as 3,7,-1. 0 is the embeddings, k after block k.
        untrained_seeds: How many untrained twins, with seeds 0 to K-1; 0 for none.
        protocol: What the trained model is compared with. default: an untrained twin in eval mode; paper: in train
            mode, float32, one text at a time; permuted: the trained weights shuffled within each tensor;
            revision: a real checkpoint, given by untrained-from.
        untrained_from: The checkpoint for protocol revision, such as EleutherAI/pythia-70m@step0; @step0 alone is
            that revision of each model.
        config_from: The configuration that says how untrained twins are initialised, where a model's own files do not
            (GGUF): a folder with config.json, a config.json, or a hub id, of the same architecture.
        initializer_range: Draw untrained twins with this initializer_range instead, such as 0.02: an assumption, and
            marked as one.
        metrics: Comma-separated names (rankscope list metrics); all but those that need to be
            named if left out.
        prefix: Put this before every text, for example an instruction; a space joins them.
        perturbation: Reorder every text's words or tokens: words-shuffled, words-reversed, words-shuffled-reversed,
            and the same with tokens. Special tokens and the white space between words stay where they are.
        window: Cut every text into windows of this many tokens, so that lengths match across models.
        special_tokens: Put the tokenizer's own special tokens (such as BOS) before and after every text and every
            window. They count towards its length.
        drop_tokens: Leave out attention sinks: first, a number of leading tokens, or massive.
        pool: Also make one vector of each text's states (their mean, or the last or first of them), and measure these
            over the data set: RankMe, alpha-ReQ, effective rank, stable rank and uniformity.
        max_length: Longer texts are cut to this many tokens, or to the positions that the model has.
        skip_overlong: Skip and count texts longer than that instead of cutting them.
        batch_tokens: Tokens in a batch, padding included; 1,024 on a CPU and 16,384 elsewhere if left out.
        dtype: Arithmetic of the model's forward pass. auto is float32 on a CPU and the checkpoint's own dtype on an
            accelerator, bfloat16 for one in float16 where the device has it.
        spectra_dtype: Arithmetic of spectra: float64, or float32 for accelerators with slow float64, which moves the
            effective rank by up to 1e-5 of its value. Left out: float64, or on a CPU float32 where the data show that
            it is right within 1e-6.
        device: cpu, cuda, cuda:1, mps; auto picks the first accelerator; spread divides over all of them.
        twin_cache: Keep twins' measurements for other runs of the same architecture and texts.
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
            raise SettingsError("protocol 'revision' and untrained_from (a checkpoint) go together: give both or none")
        if self.protocol == "revision" and self.untrained_seeds > 1:
            raise SettingsError("a checkpoint has no seeds: with protocol 'revision' leave untrained_seeds at 1")
        self._check_texts()
        self._check_initializer()
        if self.field is not None and self.template is not None:
            raise SettingsError("field and template both say what a text is: give one of them")
        if self.protocol == "paper" and self.dtype not in ("auto", "float32"):
            raise SettingsError(f"protocol 'paper' runs in float32, got dtype {self.dtype!r}: leave dtype out")
        if self.protocol == "paper" and self.batch_tokens is not None:
            raise SettingsError("protocol 'paper' runs one text at a time: leave batch_tokens out")
        for name in ("field", "template", "prefix"):
            utf8(name, getattr(self, name))
        if self.metrics is not None:
            _ = self.metric_names  # refuses unknown ones

    def _check_texts(self) -> None:
        if self.skip_overlong and self.window is not None:
            raise SettingsError("window cuts texts of any length: leave skip_overlong out")
        if not self.chat:
            return
        if not self.special_tokens:
            raise SettingsError("with chat, special tokens are the chat template's: leave special_tokens as it is")
        words = (self.perturbation or "").startswith("words-")
        for name, is_given in (("template", self.template), ("prefix", self.prefix), ("perturbation of words", words)):
            if is_given:
                raise SettingsError(f"chat measures messages as they are, and {name} changes texts: give one of them")

    def _check_initializer(self) -> None:
        if self.config_from is not None and self.initializer_range is not None:
            raise SettingsError(
                "config_from and initializer_range both say how twins are initialised: give one of them"
            )
        if self.initializer_range is not None and not 0 < self.initializer_range < math.inf:
            raise SettingsError(f"initializer_range must be greater than 0, got {self.initializer_range}")
        given = "config_from" if self.config_from is not None else "initializer_range"
        if self.protocol in ("permuted", "revision") and getattr(self, given) is not None:
            raise SettingsError(f"protocol {self.protocol!r} initialises no network: leave {given} out")

    @property
    def metric_names(self) -> tuple[str, ...]:
        """The metrics asked for. Matrix entropy comes with effective rank, whose mean is made of it."""
        from rankscope.metrics.table import metric_names, with_what_they_need  # not above: it imports torch

        if self.metrics is None:
            return metric_names(default_only=True)
        return with_what_they_need(name.strip() for name in self.metrics.split(","))

    @property
    def identity(self) -> dict[str, object]:
        """The settings that numbers depend on; whether twins are cached is not among them."""
        return {name: getattr(self, name) for name in self.names() if name != "twin_cache"}

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """The names of all settings."""
        return tuple(field.name for field in dataclasses.fields(cls))


@dataclass(frozen=True)
class StudyOptions:
    """What a study is asked about, and what some studies need besides.

    Attributes:
        models: Model references; family:NAME stands for a family (rankscope list models). Left out: the paper's.
        data: As evaluate takes it. Left out: the paper's.
        tasks: Benchmarks whose accuracy is measured by lm-evaluation-harness: names, or NAME=PATH[,PATH] for local
            files; none for no accuracy.
        images: For multimodal and rotation: the folder that image names are relative to.
        prompt: For multimodal and rotation: the instruction of all pairs, for data without instructions.
        responses: For responses: a file of given responses (.jsonl, .json; also .gz) instead of having models answer.
        max_new_tokens: For responses: the longest response; 1,000 as in the papers if left out.
        judge: For responses: one model that reads everybody's responses.
        leaderboard: For responses: a CSV file with a row for each responder.
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
"""What the images of an alignment can be replaced with."""


@dataclass(frozen=True)
class AlignmentSettings:
    """What a measurement of images and texts does, apart from which models and data.

    Values are Python's, as in `Settings`: control may be a list.

    Attributes:
        limit: The first N pairs in the data set's order.
        control: Comma-separated: rotated-90, rotated-180, rotated-270 (clockwise), mirrored, blank, noise, or shuffled
            (each text with the image of another pair). Each is compared with the images as they are.
        images: The folder that image names are relative to; the data file's own if left out.
        image_field: The field with the image.
        instruction_field: The field with the instruction, where rows have one.
        response_field: The field with the response.
        prompt: The instruction of all pairs, for data without instructions.
        split: The split of a hub data set.
        max_length: Texts are cut to this many tokens.
        integration_items: Pairs that the Modality Integration Rate is computed on; 0 for none. It takes memory
            for two matrices of hidden size by hidden size for each layer.
        dtype: Arithmetic of the model's forward pass. auto is float32 on a CPU and the checkpoint's own dtype on an
            accelerator, bfloat16 for one in float16 where the device has it.
        device: cpu, cuda, cuda:1, mps; auto picks the first accelerator; spread divides over all of them.
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
        """The controls asked for, each once."""
        if self.control is None:
            return ()
        return tuple(dict.fromkeys(name.strip() for name in self.control.split(",")))


_AnySettings = TypeVar("_AnySettings", Settings, AlignmentSettings)


def changed(settings: _AnySettings, changes: Mapping[str, object]) -> _AnySettings:
    """The settings with some replaced.

    Raises:
        UnknownNameError: a name that is no setting, with close matches.
        SettingsError: a value of another type or out of range.
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
        object.__setattr__(settings, name, canonical(name, getattr(settings, name), kind))  # frozen to all others
