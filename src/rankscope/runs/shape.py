"""What the JSON files of a run must hold to be read: a file that somebody edited is refused by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rankscope.errors import RunFolderError
from rankscope.tables import is_of_images

_Fields = Mapping[str, type | tuple[type, ...]]

_NUMBER = (int, float)
_NUMBER_OR_NONE = (int, float, type(None))
_MODEL: _Fields = {"reference": str, "fingerprint": str}
_DATA: _Fields = {"name": str, "fingerprint": str}
_OF_ALL: _Fields = {"model": str, "dataset": str, "texts": int, "skipped": int}
_OF_TEXTS: _Fields = {
    **_OF_ALL,
    "layer": str,
    "tokens": int,
    **dict.fromkeys(("hidden_size", "effective_rank", "loss"), _NUMBER_OR_NONE),
}
_OF_IMAGES: _Fields = {**_OF_ALL, "control": str, **{f"erank{place}": _NUMBER_OR_NONE for place in range(1, 6)}}
_NOTE: _Fields = {"name": str, "text": str, "rows": list, "numbers": dict}
_ANOTHER_VERSION = "made by another version, or edited?"


def check_identity(identity: Mapping[str, Any], sessions: list[Any], where: object) -> None:
    """Refuses a manifest without what a run is made of.

    Raises:
        RunFolderError: something is missing, or of another type.
    """
    _check_each(identity["models"], _MODEL, f"a model in {where}")
    _check_each(identity["data"], _DATA, f"a data set in {where}")
    if identity.get("kind", "evaluation") == "evaluation":
        _check(identity["settings"], {"protocol": str}, f"the settings in {where}")
        _check_each(identity["models"], {"dropout": _NUMBER}, f"a model in {where}")
    _check_each(sessions, {}, f"a session in {where}")


def check_summary(content: Mapping[str, Any], where: object) -> None:
    """Refuses a summary whose rows or notes lack what everything that reads them needs.

    Raises:
        RunFolderError: something is missing, or of another type.
    """
    for row in content["rows"]:
        _check(row, {}, f"a row of {where}")
        _check(row, _OF_IMAGES if is_of_images(row) else _OF_TEXTS, f"a row of {where}")
        for key, value in row.items():
            if isinstance(value, bool) or not isinstance(value, (str, *_NUMBER_OR_NONE)):
                raise RunFolderError(f"{key!r} in a row of {where} is {value!r}, no number or name: {_ANOTHER_VERSION}")
    notes = content.get("notes", [])
    if not isinstance(notes, list):
        raise RunFolderError(f"the notes of {where} are no list: {_ANOTHER_VERSION}")
    _check_each(notes, _NOTE, f"a note of {where}")


def _check_each(entries: list[Any], fields: _Fields, called: str) -> None:
    for entry in entries:
        _check(entry, fields, called)


def _check(entry: Any, fields: _Fields, called: str) -> None:
    if not isinstance(entry, dict):
        raise RunFolderError(f"{called} is no JSON object: {_ANOTHER_VERSION}")
    for name, kind in fields.items():
        if name not in entry:
            raise RunFolderError(f"{called} has no {name!r}: {_ANOTHER_VERSION}")
        if not isinstance(entry[name], kind) or isinstance(entry[name], bool):
            raise RunFolderError(f"{called} has {name!r} = {entry[name]!r}, of another type: {_ANOTHER_VERSION}")
