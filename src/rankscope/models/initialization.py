"""How an untrained network's weights are drawn, and who says so.

transformers draws weights in a class's `_init_weights`, from numbers such as `initializer_range` in the configuration.
Which of them a class reads is found by running that code on an outline of the network and watching. A source that
does not carry them, such as a GGUF file, has no untrained twin unless somebody provides them.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rankscope.errors import SettingsError
from rankscope.models.loading import as_model_error, where_to_load
from rankscope.models.outline import language_modules, language_sections, outline_of
from rankscope.models.reference import ModelReference, parse_model_reference

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel

    from rankscope.models.loading import ModelDescription

CONFIGURATION, LIBRARY_DEFAULT, FLAG, UNKNOWN = "configuration", "library default", "flag", "unknown"
"""Where an initialiser comes from; `--config-from X` is the fifth."""

# Configurations name the standard deviation of new weights in one of these ways; the first one that is there counts.
_RANGES = ("initializer_range", "init_std", "initializer_factor")
_RANGE_OF_THE_LIBRARY = 0.02  # of PreTrainedModel._init_weights, where a configuration has no such key
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
        values: what the class's initialisation reads of it, by key; sizes are left out.
        source: `configuration`, `library default`, `flag`, `--config-from X`, or `unknown`.
    """

    config: PretrainedConfig
    values: Mapping[str, Any]
    source: str

    @property
    def is_known(self) -> bool:
        """Whether a twin can be drawn."""
        return self.source != UNKNOWN

    @property
    def range(self) -> float | None:
        """The standard deviation of weights as the configuration states it; None if unknown."""
        found = next((self.values[key] for key in _RANGES if key in self.values), None)
        return float(found) if isinstance(found, (int, float)) else None


def initializer_of(model: ModelDescription, outline: PreTrainedModel) -> Initializer:
    """The initialiser that a model's own files state.

    Args:
        model: whose configuration.
        outline: of the same model.

    Raises:
        ModelError: the configuration cannot be read any more.
    """
    reads = _reads(outline)
    if _from_gguf(model) and any(reads.found.values()):
        return Initializer(model.config, {}, UNKNOWN)
    return Initializer(model.config, reads.values, LIBRARY_DEFAULT if _lacking(model, reads) else CONFIGURATION)


def assumed_initializer(model: ModelDescription, outline: PreTrainedModel, value: float) -> Initializer:
    """The model's initialiser with another standard deviation.

    Raises:
        SettingsError: the class draws its weights in a way that has none.
    """
    reads = _reads(outline)
    section, key = reads.range_key
    config = copy.deepcopy(model.config)
    setattr(language_sections(config)[section], key, value)
    changed = replace(model, config=config)
    values = _reads(outline_of(changed)).values
    if values.get(key) != value:
        raise SettingsError(
            f"initializer_range does not reach {model.reference.text}: {type(outline).__name__} does not read it. "
            "Leave it out, or give config_from"
        )
    return Initializer(config, values, FLAG)


def borrowed_initializer(model: ModelDescription, outline: PreTrainedModel, config_from: str) -> Initializer:
    """The initialiser of another configuration of the same architecture.

    Only what initialisation reads is taken from there, so the twin stays the model's own network.

    Raises:
        ModelError: there is no configuration that can be read.
        SettingsError: the configuration is of another architecture, or carries no initialiser.
    """
    other = _configuration(model, config_from)
    _check_fits(model, other)
    there = outline_of(other)
    _check_shapes(model, other, outline, there)
    reads = _reads(there)
    config = copy.deepcopy(model.config)
    sections = language_sections(config)
    for section, found in reads.found.items():
        for key, value in found.items():
            setattr(sections[section], key, value)
    source = f"--config-from {config_from}"
    if _lacking(other, reads):
        source = f"{LIBRARY_DEFAULT}, {source}"
    return Initializer(config, reads.values, source)


@dataclass
class _Reads:
    """What initialisation read, by section of the configuration and key, and what it looked for in vain."""

    found: dict[str, dict[str, Any]]
    absent: dict[str, set[str]]

    @property
    def values(self) -> dict[str, Any]:
        """All values by key; where two sections have the same key, the text part's."""
        values = {key: value for found in self.found.values() for key, value in found.items()}
        return values | {"initializer_range": _RANGE_OF_THE_LIBRARY} if self.fell_back else values

    @property
    def fell_back(self) -> bool:
        """Whether transformers used a range of its own, for want of one in the configuration."""
        values = {key: value for found in self.found.values() for key, value in found.items()}
        looked = "initializer_range" in values or any("initializer_range" in keys for keys in self.absent.values())
        return looked and not values.get("initializer_range") and not values.keys() & set(_RANGES[1:])

    @property
    def range_key(self) -> tuple[str, str]:
        """Section and key of the standard deviation: what was read, else where the library looks for it."""
        for section in reversed(self.found):
            for key in _RANGES:
                if key in self.found[section]:
                    return section, key
        return next(reversed(self.found)), _RANGES[0]


class _Watched:
    """Stands in for a configuration and notes what is read of it."""

    def __init__(self, config: PretrainedConfig, sections: Mapping[str, PretrainedConfig], reads: _Reads) -> None:
        self._config, self._sections, self._reads = config, sections, reads
        same = [key for key, part in sections.items() if part is config]
        alike = [key for key, part in sections.items() if type(part) is type(config)]
        self._section = next(iter([*same, *alike]), None)

    def __getattr__(self, name: str) -> Any:
        try:
            value = getattr(self._config, name)
        except AttributeError:
            if self._section is not None:
                self._reads.absent[self._section].add(name)
            raise
        if callable(value):
            return lambda *given, **named: self._watched(value(*given, **named))
        if self._section is not None and _is_of_initialisation(name, value):
            self._reads.found[self._section][name] = value
        return self._watched(value)

    def _watched(self, value: Any) -> Any:
        from transformers import PretrainedConfig

        return _Watched(value, self._sections, self._reads) if isinstance(value, PretrainedConfig) else value


def _reads(outline: PreTrainedModel) -> _Reads:
    """Initialises an outline, in which there is nothing to fill, and watches what is read of its configuration."""
    from transformers import PretrainedConfig

    sections = language_sections(outline.config)
    reads = _Reads({key: {} for key in sections}, {key: set() for key in sections})
    modules = list(language_modules(outline))
    configs = [(module, vars(module).get("config")) for module in outline.modules()]
    watched = [(module, config) for module, config in configs if isinstance(config, PretrainedConfig)]
    try:
        for module, config in watched:
            module.config = _Watched(config, sections, reads)
        for module, owner in modules:
            if next(module.parameters(), None) is not None:  # others hold no weights: rotations, activations
                owner._init_weights(module)
    finally:
        for module, config in watched:
            module.config = config
    return reads


def _is_of_initialisation(name: str, value: object) -> bool:
    """Whether a value that initialisation reads is about it; whole numbers are sizes, unless their name says other."""
    if isinstance(value, (bool, float, str)):
        return True
    return (value is None or isinstance(value, int)) and ("init" in name or "std" in name)


def _lacking(model: ModelDescription, reads: _Reads) -> bool:
    """Whether initialisation reads what the model's own files do not state, so that the library fills it in."""
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
    """Whether a configuration was put together from a GGUF file, which says nothing of initialisation."""
    return model.reference.gguf_file is not None


def _configuration(model: ModelDescription, config_from: str) -> ModelDescription:
    """The configuration that a folder, a file or a hub id holds, described as the model is."""
    from transformers import AutoConfig

    path = Path(config_from)
    if path.suffix == ".json" and path.is_file():
        reference = ModelReference(config_from, "folder", config_from)
    else:
        reference = parse_model_reference(config_from)
    if reference.gguf_file is not None:
        raise SettingsError(
            f"config_from {config_from} is a GGUF file, which does not say how weights were initialised: "
            "give the configuration of the model that it was converted from"
        )
    with as_model_error(reference, "configuration"):
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
    """What the keys of a configuration leave open shows in the shapes of the weights that it makes."""
    here, there = _shapes(ours), _shapes(theirs)
    for name in sorted(here.keys() | there.keys()):
        if here.get(name) != there.get(name):
            raise _misfit(
                model, other, f"its weight {name} is {there.get(name, 'missing')}, not {here.get(name, 'missing')}"
            )


def _shapes(outline: PreTrainedModel) -> dict[str, tuple[int, ...]]:
    """Weights' shapes, without the head's: whether it is tied to the embeddings differs between copies of a model."""
    head = outline.get_output_embeddings()
    of_head = tuple(f"{name}." for name, module in outline.named_modules() if module is head)
    weights = outline.named_parameters(remove_duplicate=False)
    return {name: tuple(weight.shape) for name, weight in weights if not name.startswith(of_head)}


def _misfit(model: ModelDescription, other: ModelDescription, difference: str) -> SettingsError:
    return SettingsError(
        f"config_from {other.reference.text} does not fit {model.reference.text}: {difference}. Give a configuration "
        "of the same architecture; models of other shapes need runs of their own"
    )
