"""Which configuration keys a network's initialisation reads.

transformers initialises weights in a class's `_init_weights`, with values from the configuration. The keys are found by
running that code on an outline of the network, which has no data to fill, and recording the reads.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rankscope.models.outline import language_modules, language_sections

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel

# Configurations name the standard deviation of new weights in one of these ways; the first existing key counts.
RANGES = ("initializer_range", "init_std", "initializer_factor")
_RANGE_OF_THE_LIBRARY = 0.02  # default of PreTrainedModel._init_weights if a configuration has no such key


@dataclass
class Reads:
    """What initialisation read, by section of the configuration and key, and keys that it did not find."""

    found: dict[str, dict[str, Any]]
    absent: dict[str, set[str]]

    @property
    def values(self) -> dict[str, Any]:
        """All values by key; if two sections have the same key, the text part's value."""
        values = {key: value for found in self.found.values() for key, value in found.items()}
        return values | {"initializer_range": _RANGE_OF_THE_LIBRARY} if self.fell_back else values

    @property
    def fell_back(self) -> bool:
        """Whether transformers used its default range, because the configuration has none."""
        values = {key: value for found in self.found.values() for key, value in found.items()}
        looked = "initializer_range" in values or any("initializer_range" in keys for keys in self.absent.values())
        return looked and not values.get("initializer_range") and not values.keys() & set(RANGES[1:])

    @property
    def range_key(self) -> tuple[str, str]:
        """Section and key of the standard deviation: the key that was read, else where the library looks for it."""
        for section in reversed(self.found):
            for key in RANGES:
                if key in self.found[section]:
                    return section, key
        return next(reversed(self.found)), RANGES[0]


class _Watched:
    """Replaces a configuration and records which keys are read."""

    def __init__(self, config: PretrainedConfig, sections: Mapping[str, PretrainedConfig], reads: Reads) -> None:
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


def initializer_reads(outline: PreTrainedModel) -> Reads:
    """Initialises an outline, which has no data to fill, and records reads of its configuration."""
    from transformers import PretrainedConfig

    sections = language_sections(outline.config)
    reads = Reads({key: {} for key in sections}, {key: set() for key in sections})
    modules = list(language_modules(outline))
    configs = [(module, vars(module).get("config")) for module in outline.modules()]
    watched = [(module, config) for module, config in configs if isinstance(config, PretrainedConfig)]
    try:
        for module, config in watched:
            module.config = _Watched(config, sections, reads)
        for module, owner in modules:
            if next(module.parameters(), None) is not None:  # other modules have no weights: rotations, activations
                owner._init_weights(module)
    finally:
        for module, config in watched:
            module.config = config
    return reads


def _is_of_initialisation(name: str, value: object) -> bool:
    """Whether a value is about initialisation; integers are sizes, unless their name says otherwise."""
    if isinstance(value, (bool, float, str)):
        return True
    return (value is None or isinstance(value, int)) and ("init" in name or "std" in name)
