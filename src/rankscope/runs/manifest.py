"""The JSON documents in a run's folder that describe the run: its call, its sessions and its units.

    manifest.json           the call and the names of all units; written once, by the first process
    units/UNIT.json         a unit's batches and what it depends on; written once, before its first batch
    sessions/SESSION.json   one process that worked on the run, with its versions; written by that process only

No process changes a file that another one needs. In schema 1, sessions and units are part of `manifest.json`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import PurePosixPath
from typing import Any

from rankscope.errors import RunFolderError
from rankscope.names import utf8
from rankscope.runs.addresses import Place
from rankscope.runs.storage import Storage, storage_of

MANIFEST = "manifest.json"
SESSIONS, UNITS = "sessions", "units"
SCHEMA = 2
_SCHEMAS = (1, SCHEMA)
_UNIT: dict[str, type] = {"tokens": str, "everything": str, "batches": int, "order": list, "column": str}
_MOST_BATCHES = 10**8  # per unit; a larger number is considered damaged


@dataclass(frozen=True)
class UnitRecord:
    """A unit's entry in a run's folder.

    Attributes:
        tokens: Digest of the token ids, their batches, and the skipped texts.
        everything: Digest of `tokens`, the model and all settings.
        batches: Number of batches.
        order: Order of the rows of a text, as values of `column`.
        column: Name of the column that orders the rows of a text.
    """

    tokens: str
    everything: str
    batches: int
    order: tuple[str, ...] = ()
    column: str = "layer"

    def as_json(self) -> dict[str, Any]:
        """The content of the unit's file."""
        return asdict(self)


def to_json(content: Any) -> bytes:
    """A document as the content of a JSON file; NaN is a programming error and raises ValueError."""
    return utf8(json.dumps(content, indent=2, allow_nan=False, ensure_ascii=False) + "\n")


def new_manifest(identity: dict[str, Any], units: Sequence[str]) -> dict[str, Any]:
    """The manifest of a run that has not been started."""
    return {"schema": SCHEMA, "identity": identity, "all_units": list(units)}


def kind_of_run(identity: dict[str, Any]) -> str:
    """`evaluation` or `alignment`."""
    return str(identity.get("kind", "evaluation"))


def read_identity(place: Storage | Place) -> dict[str, Any]:
    """The run's identity: its settings, models and data.

    Raises:
        RunFolderError: there is no manifest, or this version cannot read it.
    """
    identity: dict[str, Any] = _read_file(storage_of(place))["identity"]
    return identity


def read_manifest(place: Storage | Place) -> dict[str, Any]:
    """The manifest with all sessions and units: `identity`, `all_units`, `sessions` in order of start, `units` by name.

    `all_units` is empty for folders of schema 1, which do not list units before they are started.

    Raises:
        RunFolderError: there is no manifest, or this version cannot read it.
    """
    storage = storage_of(place)
    manifest = _read_file(storage)
    if manifest["schema"] == 1:
        units = manifest.get("units", {})
        return manifest | {"units": units if isinstance(units, dict) else {}, "all_units": []}
    sessions = [document | {"id": name} for name, document in _documents(storage, SESSIONS).items()]
    return manifest | {"sessions": sessions, "units": _documents(storage, UNITS)}


def read_unit(place: Storage | Place, unit: str) -> UnitRecord | None:
    """A unit's entry in the folder; None if the unit has not been started.

    Raises:
        RunFolderError: the unit's file is damaged.
    """
    storage, name = storage_of(place), unit_file(unit)
    content = storage.read(name)
    return None if content is None else unit_record(_document(storage, name, content), storage.called(name))


def unit_record(document: dict[str, Any], file: str) -> UnitRecord:
    """The record in a unit's file.

    Args:
        document: The file's content.
        file: The file's path or address, for the message.

    Raises:
        RunFolderError: the content is damaged.
    """
    for name, kind in _UNIT.items():
        value = document.get(name)
        if type(value) is not kind or (isinstance(value, int) and not 0 <= value < _MOST_BATCHES):
            raise RunFolderError(f"{file} is damaged or was written by another version: {name} is {str(value)[:40]!r}")
    known = {field.name: document[field.name] for field in fields(UnitRecord)}
    return UnitRecord(**known | {"order": tuple(map(str, document["order"]))})


def unit_file(unit: str) -> str:
    """The name of a unit's file."""
    return f"{UNITS}/{unit}.json"


def session_file(session: str) -> str:
    """The name of a session's file."""
    return f"{SESSIONS}/{session}.json"


def _read_file(storage: Storage) -> dict[str, Any]:
    """The content of `manifest.json`."""
    content = storage.read(MANIFEST)
    if content is None:
        raise RunFolderError(f"{storage.place} is not a run folder: it contains no {MANIFEST}")
    manifest = _document(storage, MANIFEST, content, "a manifest")
    of_its_schema = manifest.get("all_units" if manifest.get("schema") == SCHEMA else "sessions")
    if manifest.get("schema") not in _SCHEMAS or not (
        isinstance(manifest.get("identity"), dict)
        and isinstance(of_its_schema, list)
        and (manifest["schema"] == 1 or all(isinstance(unit, str) for unit in of_its_schema))
    ):
        raise RunFolderError(
            f"{storage.called(MANIFEST)} is not a manifest of schema {' or '.join(map(str, _SCHEMAS))}: was it "
            "written by another version?"
        )
    return manifest


def _documents(storage: Storage, folder: str) -> dict[str, dict[str, Any]]:
    """All JSON documents of a folder, by name without extension."""
    names = [name for name in storage.names(folder) if name.endswith(".json")]
    contents = zip(names, storage.read_each(names), strict=True)
    return {
        PurePosixPath(name).name.removesuffix(".json"): _document(storage, name, content)
        for name, content in contents
        if content is not None
    }


def _document(storage: Storage, name: str, content: bytes, what: str = "a document of a run") -> dict[str, Any]:
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise RunFolderError(f"{storage.called(name)} is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise RunFolderError(f"{storage.called(name)} is not {what}: was it written by another version?")
    return document
