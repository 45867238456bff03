"""`--config FILE.toml`: settings by name, with TOML's types."""

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
    """Reads a settings file; returns the values by setting name, in the form of command-line options.

    Strings are parsed as on the command line, so `limit = "3"` is a number. Other values follow Python's rules:
    `layers = [0, 3]` is a list, and `limit = 1.0` is not an integer.

    Raises:
        SettingsError: the file does not exist, is not TOML, or has a value of the wrong type.
        UnknownNameError: a value is not one of the setting's choices.
    """
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SettingsError(f"settings file not found: {file}") from None
    except (ValueError, RecursionError) as error:
        raise SettingsError(f"{file} is not valid TOML: {error}") from error
    except OSError as error:
        raise SettingsError(f"cannot read {str(file)[:200]}: {error.strerror or error}") from error
    refuse_fractions_in_file(content)
    kinds = kinds_of(AlignmentSettings) | kinds_of(Settings)
    for written, value in content.items():
        name = written.replace("-", "_")
        if name in kinds and not isinstance(value, str):
            content[written] = canonical(name, value, kinds[name])
    return content
