"""`--config FILE.toml`: settings by name, in the types that TOML has."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Any

from rankscope.cli.whole_numbers import refuse_fractions_in_file
from rankscope.errors import SettingsError
from rankscope.setting_values import canonical
from rankscope.settings import AlignmentSettings, Settings, kinds_of

if TYPE_CHECKING:
    from pathlib import Path


def read_settings_file(file: Path) -> dict[str, Any]:
    """What a settings file says, by name, as flags would say it.

    Text is read as on the command line, so that `limit = "3"` is a number. Other values are what they are in Python:
    `layers = [0, 3]` is a list, and `limit = 1.0` no whole number.

    Raises:
        SettingsError: no such file, no TOML, or a value of the wrong type.
        UnknownNameError: a text that is none of a setting's choices.
    """
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SettingsError(f"no such settings file: {file}") from None
    except (ValueError, RecursionError) as error:
        raise SettingsError(f"{file} is not TOML: {error}") from error
    except OSError as error:
        raise SettingsError(f"{str(file)[:200]} cannot be read: {error.strerror or error}") from error
    refuse_fractions_in_file(content)
    kinds = kinds_of(AlignmentSettings) | kinds_of(Settings)
    for written, value in content.items():
        name = written.replace("-", "_")
        if name in kinds and not isinstance(value, str):
            content[written] = canonical(name, value, kinds[name])
    return content
