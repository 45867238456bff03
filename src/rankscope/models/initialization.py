"""How an untrained network's weights are initialised, and where this is stated.

A model's configuration states it, in keys such as `initializer_range`. A source without these keys, such as a GGUF
file, has no untrained twin unless the user provides them.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rankscope.errors import SettingsError
from rankscope.models.initializer_reads import RANGES, Reads, initializer_reads
from rankscope.models.loading import as_model_error, where_to_load
from rankscope.models.outline import language_sections, outline_of
from rankscope.models.reference import ModelReference, parse_model_reference
from rankscope.models.sources import found_on_the_hub

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel

    from rankscope.models.loading import ModelDescription

CONFIGURATION, LIBRARY_DEFAULT, FLAG, UNKNOWN = "configuration", "library default", "flag", "unknown"
"""Sources of an initialiser; the fifth is `--config-from X`."""

_COMPARED = (
    "model_type",
    "vocab_size",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "head_dim",
    "intermediate_size",
)


@dataclass(frozen=True)
class Initializer:
    """What a twin's random weights depend on, apart from the seed.

    Attributes:
        config: of the twin: the model's own, with the values below.
        values: configuration values that the class's initialisation reads, by key; without sizes.
        source: `configuration`, `library default`, `flag`, `--config-from X`, or `unknown`.
    """

    config: PretrainedConfig
    values: Mapping[str, Any]
    source: str

    @property
    def is_known(self) -> bool:
        """Whether a twin can be initialised."""
        return self.source != UNKNOWN

    @property
    def range(self) -> float | None:
        """The standard deviation of weights in the configuration; None if unknown."""
        found = next((self.values[key] for key in RANGES if key in self.values), None)
        return float(found) if isinstance(found, (int, float)) else None


def choose_initializer(
    model: ModelDescription, outline: PreTrainedModel, config_from: str | None, initializer_range: float | None
) -> Initializer:
    """The initialiser given by the user, else the one in the model's own files.

    Raises:
        ModelError: no readable configuration.
        SettingsError: the user's initialiser does not fit the model.
    """
    if config_from is not None:
        return borrowed_initializer(model, outline, config_from)
    if initializer_range is not None:
        return assumed_initializer(model, outline, initializer_range)
    return initializer_of(model, outline)


def initializer_of(model: ModelDescription, outline: PreTrainedModel) -> Initializer:
    """The initialiser stated in a model's own files.

    Args:
        model: whose configuration.
        outline: of the same model.

    Raises:
        ModelError: the configuration can no longer be read.
    """
    reads = initializer_reads(outline)
    if _from_gguf(model) and any(reads.found.values()):
        return Initializer(model.config, {}, UNKNOWN)
    return Initializer(model.config, reads.values, LIBRARY_DEFAULT if _lacking(model, reads) else CONFIGURATION)


def assumed_initializer(model: ModelDescription, outline: PreTrainedModel, value: float) -> Initializer:
    """The model's initialiser with another standard deviation.

    Raises:
        SettingsError: the class's initialisation does not use one.
    """
    reads = initializer_reads(outline)
    section, key = reads.range_key
    config = copy.deepcopy(model.config)
    setattr(language_sections(config)[section], key, value)
    changed = replace(model, config=config)
    values = initializer_reads(outline_of(changed)).values
    if values.get(key) != value:
        raise SettingsError(
            f"initializer_range has no effect on {model.reference.text}: {type(outline).__name__} does not read it. "
            "Omit it, or use config_from"
        )
    return Initializer(config, values, FLAG)


def borrowed_initializer(model: ModelDescription, outline: PreTrainedModel, config_from: str) -> Initializer:
    """The initialiser of another configuration of the same architecture.

    Only values read by initialisation are taken from it, so the twin remains the model's own network.

    Raises:
        ModelError: no readable configuration.
        SettingsError: the configuration has another architecture, or no initialiser.
    """
    other = _configuration(model, config_from)
    _check_fits(model, other)
    there = outline_of(other)
    _check_shapes(model, other, outline, there)
    reads = initializer_reads(there)
    config = copy.deepcopy(model.config)
    sections = language_sections(config)
    for section, found in reads.found.items():
        for key, value in found.items():
            setattr(sections[section], key, value)
    source = f"--config-from {config_from}"
    if _lacking(other, reads):
        source = f"{LIBRARY_DEFAULT}, {source}"
    return Initializer(config, reads.values, source)


def _lacking(model: ModelDescription, reads: Reads) -> bool:
    """Whether initialisation reads values that are missing in the model's files, so that library defaults apply."""
    from transformers import PretrainedConfig

    where = where_to_load(model.reference, trust_remote_code=model.trust_remote_code)
    with as_model_error(model.reference, "configuration"):
        written, _ = PretrainedConfig.get_config_dict(**where)
    sections = language_sections(model.config)
    for section, found in reads.found.items():
        there = written.get(section) or {} if section else written
        aliases = getattr(sections[section], "attribute_map", {})
        for key in found:
            names = {key, aliases.get(key), *(name for name, real in aliases.items() if real == key)}
            if not names & there.keys():
                return True
    return reads.fell_back


def _from_gguf(model: ModelDescription) -> bool:
    """Whether a configuration was built from a GGUF file, which does not state the initialisation."""
    return model.reference.gguf_file is not None


def _configuration(model: ModelDescription, config_from: str) -> ModelDescription:
    """The configuration in a folder, a file or on the hub, as a model description."""
    from transformers import AutoConfig

    path = Path(config_from)
    if path.suffix == ".json" and path.is_file():
        reference = ModelReference(config_from, "folder", config_from)
    else:
        reference = parse_model_reference(config_from)
    if reference.gguf_file is not None:
        raise SettingsError(
            f"config_from {config_from} is a GGUF file, which does not say how weights were initialised: "
            "use the configuration of the model that it was converted from"
        )
    with as_model_error(reference, "configuration"):
        reference = found_on_the_hub(reference)
        config = AutoConfig.from_pretrained(**where_to_load(reference, trust_remote_code=model.trust_remote_code))
    return replace(model, reference=reference, config=config)


def _check_fits(model: ModelDescription, other: ModelDescription) -> None:
    ours, theirs = model.config.get_text_config(), other.config.get_text_config()
    for name in _COMPARED:
        here, there = getattr(ours, name, None), getattr(theirs, name, None)
        if here is not None and there is not None and here != there:
            raise _misfit(model, other, f"its {name} is {there}, not {here}")


def _check_shapes(
    model: ModelDescription, other: ModelDescription, ours: PreTrainedModel, theirs: PreTrainedModel
) -> None:
    """Compares the shapes of weights, which reveal differences that configuration keys leave open."""
    here, there = _shapes(ours), _shapes(theirs)
    for name in sorted(here.keys() | there.keys()):
        if here.get(name) != there.get(name):
            raise _misfit(
                model, other, f"its weight {name} is {there.get(name, 'missing')}, not {here.get(name, 'missing')}"
            )


def _shapes(outline: PreTrainedModel) -> dict[str, tuple[int, ...]]:
    """Weights' shapes without the head, because copies of a model may or may not tie it to the embeddings."""
    head = outline.get_output_embeddings()
    of_head = tuple(f"{name}." for name, module in outline.named_modules() if module is head)
    weights = outline.named_parameters(remove_duplicate=False)
    return {name: tuple(weight.shape) for name, weight in weights if not name.startswith(of_head)}


def _misfit(model: ModelDescription, other: ModelDescription, difference: str) -> SettingsError:
    return SettingsError(
        f"config_from {other.reference.text} does not fit {model.reference.text}: {difference}. Use a configuration "
        "of the same architecture; models of other shapes need separate runs"
    )
