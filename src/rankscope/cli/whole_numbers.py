"""Refuses a fraction for an integer setting; the command-line parser would round it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from rankscope.errors import SettingsError
from rankscope.settings import AlignmentSettings, Settings, StudyOptions
from rankscope.watch_settings import WatchSettings

_WHOLE = frozenset(
    field.name
    for settings in (Settings, AlignmentSettings, StudyOptions, WatchSettings)
    for field in dataclasses.fields(settings)
    if field.type in ("int", "int | None")  # annotations are stored as strings
)


def refuse_fractions_in_call(tokens: Sequence[str]) -> None:
    """Refuses `--limit=1.5` and `--limit 1.5`.

    Raises:
        SettingsError: a fraction; the message names the option.
    """
    for token, following in zip(tokens, [*tokens[1:], ""], strict=True):
        flag, equals, value = token.partition("=")
        if flag.startswith("--"):
            _refuse_fraction(flag, value if equals else following)


def refuse_fractions_in_file(content: Mapping[str, object]) -> None:
    """Refuses `limit = 1.5` in a settings file.

    Raises:
        SettingsError: a fraction; the message names the setting.
    """
    for name, value in content.items():
        if isinstance(value, str | float):
            _refuse_fraction(name, str(value))


def _refuse_fraction(name: str, value: str) -> None:
    if name.removeprefix("--").replace("-", "_") not in _WHOLE:
        return
    try:
        whole = float(value).is_integer()
    except ValueError:
        return  # the parser reports values that are not numbers
    if "." in value and not whole:
        raise SettingsError(f"{name} must be an integer, got {value}")
