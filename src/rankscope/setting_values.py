"""Setting values: converts any accepted Python form to the one used on the command line and in manifests."""

from __future__ import annotations

import operator
import os
from collections.abc import Callable, Mapping, Sequence
from numbers import Real
from types import NoneType
from typing import Any, Literal, get_args, get_origin

from rankscope.errors import SettingsError, UnknownNameError
from rankscope.names import valid_text

_LONGEST_VALUE = 100


def canonical(name: str, value: object, kind: Any) -> object:
    """Converts a setting's value to the form in which it is stored.

    Lists become comma-separated text, integers of numpy and other libraries become `int`, paths become text.

    Args:
        name: of the setting.
        value: as given.
        kind: the setting's type, with `Literal` and `None` as alternatives.

    Raises:
        SettingsError: the value has the wrong type.
        UnknownNameError: the text is not one of the choices.
    """
    kinds = (kind,) if get_origin(kind) is Literal else get_args(kind) or (kind,)
    if value is None and name == "untrained_seeds":
        return 0
    if value is None and NoneType in kinds:
        return None
    if name in _IN_OWN_WORDS:
        return _IN_OWN_WORDS[name](name, value)
    one = next(one for one in kinds if one is not NoneType)
    if get_origin(one) is Literal:
        return _choice(name, value, get_args(one))
    return _OF_TYPE[one](name, value)


def at_least(name: str, value: int | None, least: int) -> None:
    """Refuses a smaller number; None passes.

    Raises:
        SettingsError: a smaller number.
    """
    if value is not None and value < least:
        raise SettingsError(f"{name} must be an integer of at least {least}, got {value}")


def utf8(name: str, value: str | None) -> None:
    """Refuses text that UTF-8 cannot encode; None passes.

    Raises:
        SettingsError: lone surrogates, which represent bytes that the locale cannot decode.
    """
    if value is not None and valid_text(value) != value:
        raise SettingsError(f"{name} must be UTF-8 text, got {valid_text(value)!r}: set PYTHONUTF8=1, or retype it")


def one_of(name: str, value: str, choices: tuple[str, ...]) -> None:
    """Refuses text that is not one of the choices.

    Raises:
        UnknownNameError: with close matches.
    """
    if value not in choices:
        raise UnknownNameError(name, value, choices)


def _refused(expected: str, value: object) -> SettingsError:
    text = " ".join(repr(value).split())
    text = text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}..."
    return SettingsError(f"{expected}, got {text}{'' if value is None else f' ({type(value).__name__})'}")


def _switch(name: str, value: object) -> bool:
    if isinstance(value, bool):
        return value
    raise _refused(f"{name} must be True or False", value)


def _whole_number(name: str, value: object) -> int:
    found = _index(value)
    if found is None:
        raise _refused(f"{name} must be an integer", value)
    return found


def _index(value: Any) -> int | None:
    """An integer of any library as `int`; None for everything else, including bool."""
    if isinstance(value, bool):
        return None
    try:
        return int(operator.index(value))
    except TypeError:
        return None


def _number(name: str, value: object) -> float:
    if not isinstance(value, bool) and isinstance(value, Real):
        try:
            return float(value)
        except OverflowError:
            pass
    raise _refused(f"{name} must be a number", value)


def _text(name: str, value: object) -> str:
    if isinstance(value, str):
        return str.__str__(value)
    raise _refused(f"{name} must be text", value)


def _path(name: str, value: object) -> str:
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    if isinstance(value, str):
        return str.__str__(value)
    raise _refused(f"{name} must be text or a path", value)


def _choice(name: str, value: object, choices: tuple[str, ...]) -> str:
    if not isinstance(value, str):
        raise _refused(f"{name} must be one of {', '.join(choices)}", value)
    one_of(name, value, choices)
    return str.__str__(value)


def _layers(name: str, value: object) -> str:
    expected = f"{name} must be last, first, middle, all, or indices: text such as '0,3', an integer or a list"
    return _joined(value if _index(value) is None else [value], expected, numbers=True)


def _names(name: str, value: object) -> str:
    return _joined(value, f"{name} must be names: text such as 'a,b', or a list of text", numbers=False)


def _joined(value: object, expected: str, *, numbers: bool) -> str:
    """Comma-separated text without spaces around the commas."""
    if isinstance(value, str):
        parts: list[object] = [value]
    elif isinstance(value, Sequence) and not isinstance(value, bytes | bytearray | memoryview):
        parts = list(value)
    else:
        raise _refused(expected, value)
    numbered = [index if numbers and (index := _index(part)) is not None else part for part in parts]
    if not parts or not all(isinstance(part, str | int) and not isinstance(part, bool) for part in numbered):
        raise _refused(expected, value)
    if not numbers and any(isinstance(part, int) for part in numbered):
        raise _refused(expected, value)
    return ",".join(one.strip() for part in numbered for one in str(part).split(","))


def _drop_rule(name: str, value: object) -> str:
    number = _index(value)
    if number is not None and number > 0:
        return str(number)
    if not isinstance(value, str):
        raise _refused(f"{name} must be 'first', 'massive' or a number of leading tokens", value)
    return str.__str__(value)


_OF_TYPE: Mapping[type, Callable[[str, object], object]] = {
    bool: _switch,
    int: _whole_number,
    float: _number,
    str: _text,
}
_IN_OWN_WORDS: Mapping[str, Callable[[str, object], str]] = {
    "layers": _layers,
    "metrics": _names,
    "control": _names,
    "drop_tokens": _drop_rule,
    "images": _path,
    "config_from": _path,
    "untrained_from": _path,
}
"""Settings that accept more than their annotated type."""
