"""Finds the settings in which several runs differ, and what each difference means for comparing their numbers."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from rankscope.errors import SettingsError
from rankscope.names import valid_text
from rankscope.runs.session import sessions_that_measured
from rankscope.settings import AlignmentSettings, Settings
from rankscope.statistics import Note
from rankscope.words import in_a_list

if TYPE_CHECKING:
    from rankscope.runs.run import Run


class Effect(Enum):
    """What a setting changes."""

    NUMBERS = "the numbers of the trained model"
    TEXTS = "the choice of texts; their fingerprint shows whether they are the same"
    TWIN = "only the untrained twin"
    ROUNDING = "the last digits"
    NOTHING = "which numbers are computed, but not their values"


EFFECTS: Mapping[str, Effect] = {
    **dict.fromkeys(("perturbation", "prefix", "window", "max_length", "drop_tokens"), Effect.NUMBERS),
    **dict.fromkeys(("special_tokens", "chat", "skip_overlong", "pool", "prompt", "integration_items"), Effect.NUMBERS),
    **dict.fromkeys(("on_bad_row",), Effect.TEXTS),
    **dict.fromkeys(("field", "template", "split", "limit", "sample_seed"), Effect.TEXTS),
    **dict.fromkeys(("images", "image_field", "instruction_field", "response_field"), Effect.TEXTS),
    **dict.fromkeys(("protocol", "untrained_seeds", "config_from", "initializer_range"), Effect.TWIN),
    **dict.fromkeys(("dtype", "spectra_dtype", "device", "hardware", "batch_tokens"), Effect.ROUNDING),
    **dict.fromkeys(("rankscope", "torch", "transformers"), Effect.ROUNDING),
    **dict.fromkeys(("layers", "metrics", "control", "trust_remote_code", "twin_cache"), Effect.NOTHING),
}
"""The effect of each setting, and of the versions and hardware used for a run."""

ROUNDING_OF = {
    "dtype": "half precision changed eRank by up to 0.06 % and the loss by up to 0.1 % in our measurements",
    "spectra_dtype": "float32 changes eRank by up to 1e-5 of its value",
    "device": "devices sum in different orders, which changes hidden states by about 1e-6 in float32",
    "hardware": "devices sum in different orders, which changes hidden states by about 1e-6 in float32",
    "batch_tokens": "padding changes hidden states by about 1e-6 in float32, up to 1e-3 in half precision",
}
"""Size of the rounding differences caused by each setting; see `docs/protocols.md`."""

_OF_ANOTHER_VERSION = "versions may compute in different orders"
_KEEPS_TEXTS = ("max_length", "drop_tokens", "skip_overlong", "special_tokens", "pool")
_LONGEST_VALUE = 40


def effect_of(setting: str) -> Effect:
    """The effect of a setting; a setting that is not in the table is assumed to change the numbers."""
    return EFFECTS.get(setting, Effect.NUMBERS)


@dataclass(frozen=True)
class Differing:
    """The settings in which runs differ.

    Attributes:
        runs: The runs.
        values: For each differing setting, its values in the order of `runs`.
    """

    runs: tuple[Run, ...]
    values: Mapping[str, tuple[object, ...]]

    def of(self, *effects: Effect) -> tuple[str, ...]:
        """Names of the differing settings with one of these effects."""
        return tuple(name for name in self.values if effect_of(name) in effects)

    def shown(self, names: Sequence[str], run: Run) -> str:
        """A run's values of some settings, without names, such as `tokens-shuffled`."""
        place = self.runs.index(run)
        return ", ".join(_shown(self.values[name][place]) for name in names)

    def label(self, names: Sequence[str], run: Run) -> str:
        """A run's values of some settings, with names, such as `perturbation tokens-shuffled`."""
        return ", ".join(f"{name} {self.shown([name], run)}" for name in names)

    def told(self, name: str) -> str:
        """A setting with its distinct values, such as `max_length (2048 and 60)`."""
        return f"{name} ({' and '.join(dict.fromkeys(map(_shown, self.values[name])))})"

    def notes(self) -> list[Note]:
        """Notes on how to read a comparison of these runs: one for each kind of effect, except on texts."""
        numbers, twin, rounding = map(self.of, (Effect.NUMBERS, Effect.TWIN, Effect.ROUNDING))
        sizes = dict.fromkeys(ROUNDING_OF.get(name, _OF_ANOTHER_VERSION) for name in rounding)
        texts = {
            "settings-differ": (numbers, ": compare a model across them only with itself"),
            "twins-differ": (
                twin,
                ", which changes only the twin: do not compare the Diff-eRanks of different models across them",
            ),
            "rounding-differs": (rounding, f", which changes numbers by rounding: {'; '.join(sizes)}"),
        }
        return [
            Note(name, f"these runs differ in {in_a_list(map(self.told, settings))}{text}", (), {})
            for name, (settings, text) in texts.items()
            if settings
        ]


def differing(runs: Sequence[Run]) -> Differing:
    """The settings, versions and hardware in which runs differ.

    A setting that a run did not record has its default value. Versions and hardware are compared only if all runs
    record them. Settings that choose texts count only if two runs have different texts of the same data set.

    Raises:
        RunFolderError: a folder does not contain a run.
    """
    found = [_settings_of(run) for run in runs]
    names = dict.fromkeys(name for one in found for name in one)
    values = {name: tuple(one.get(name, _default(name)) for one in found) for name in names}
    made = [_made_with(run) for run in runs]
    for name in made[0] if made else ():
        if all(name in one for one in made):
            values[name] = tuple(one[name] for one in made)
    same_texts, of_twins = not _other_texts(runs), sum(one.get("untrained_seeds") != 0 for one in found) > 1
    kept = {
        name: of_runs
        for name, of_runs in values.items()
        if any(value != of_runs[0] for value in of_runs)
        and effect_of(name) is not Effect.NOTHING
        and not (effect_of(name) is Effect.TEXTS and same_texts)
        and not (effect_of(name) is Effect.TWIN and not of_twins)
    }
    if "device" in kept:
        kept.pop("hardware", None)
    references = [model["reference"] for run in runs for model in run.manifest()["identity"]["models"]]
    if len(set(references)) == len(references):
        kept.pop("config_from", None)  # each model has its own
    return Differing(tuple(runs), kept)


def labelled_setting(different: Differing) -> tuple[str, ...]:
    """The setting that distinguishes runs of the same models, or all settings if they differ only by rounding.

    Raises:
        SettingsError: no setting differs, several differ, or its values leave no texts in common.
    """
    names = different.of(Effect.NUMBERS, Effect.TWIN) or different.of(Effect.ROUNDING)
    paths = in_a_list(str(run.place) for run in different.runs)
    if not names and not different.values:
        raise SettingsError(f"{paths} contain the same models with the same settings: there is nothing to compare")
    of_texts = different.of(Effect.TEXTS)
    if of_texts and not any(map(rewrites_texts, names)):
        raise SettingsError(f"{paths} differ in {in_a_list(map(different.told, of_texts))}, so their texts differ")
    changed = different.of(Effect.NUMBERS, Effect.TWIN, Effect.TEXTS)
    if len(changed) > 1:
        raise SettingsError(
            f"{paths} contain the same models and differ in {in_a_list(map(different.told, changed))}: compare runs "
            "that differ in a single setting"
        )
    if "window" in names:
        raise SettingsError(
            f"{paths} differ in {different.told('window')}: windows of different lengths are different texts"
        )
    shown = [different.shown(names, run) for run in different.runs]
    if len(set(shown)) < len(shown):
        raise SettingsError(f"two of {paths} contain the same models with the same settings: remove one")
    return names


def folder_names(runs: Sequence[Run]) -> dict[Run, str]:
    """The last part of each run's path, with the number of the run appended if the name is not unique."""
    names = [valid_text(run.name) for run in runs]
    return {
        run: name if names.count(name) == 1 else f"{name}, run {place}"
        for place, (run, name) in enumerate(zip(runs, names, strict=True), 1)
    }


def rewrites_texts(setting: str) -> bool:
    """Whether a setting changes the texts themselves, and so their fingerprint."""
    return effect_of(setting) is Effect.NUMBERS and setting not in _KEEPS_TEXTS


def _settings_of(run: Run) -> dict[str, object]:
    """A run's settings by name; a checkpoint used instead of a twin becomes part of `protocol`."""
    identity = run.manifest()["identity"]
    settings = dict(identity["settings"])
    baseline = settings.pop("untrained_from", None)
    if baseline is not None:
        models = {str(model["reference"]).partition("@")[0] for model in identity["models"]}
        base, at, revision = str(baseline).partition("@")
        settings["protocol"] = f"revision {at + revision if base in models else baseline}"
    return settings


def _made_with(run: Run) -> dict[str, str]:
    """Versions and hardware of all sessions that measured a part of a run."""
    found: dict[str, dict[str, None]] = {}
    for session in sessions_that_measured(run.manifest()):
        versions: Mapping[str, Any] = session.get("versions") or {}
        made = {name: versions.get(name) for name in ("rankscope", "torch", "transformers")}
        for name, value in (made | {"hardware": session.get("device")}).items():
            if value is not None:
                found.setdefault(name, {})[str(value)] = None
    return {name: " and ".join(values) for name, values in found.items()}


def _other_texts(runs: Sequence[Run]) -> bool:
    seen: dict[str, str] = {}
    data = [entry for run in runs for entry in run.manifest()["identity"]["data"]]
    return any(seen.setdefault(entry["name"], entry["fingerprint"]) != entry["fingerprint"] for entry in data)


def _default(name: str) -> object:
    return getattr(Settings, name, getattr(AlignmentSettings, name, None))


def _shown(value: object) -> str:
    if value is None or value == "":
        return "none"
    text = " ".join(str(value).split())
    if len(text) <= _LONGEST_VALUE:
        return text
    digest = hashlib.sha256(str(value).encode("utf-8", "surrogatepass")).hexdigest()
    return f"{text[: _LONGEST_VALUE - 10]}... {digest[:6]}"
