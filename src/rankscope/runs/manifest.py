"""What a run's folder says of the run: what was asked for, who worked on it, and what each unit is made of.

    manifest.json           what was asked for, and the names of all units; written once, by the first process
    units/UNIT.json         what a unit depends on and consists of; written once, before its first batch
    sessions/SESSION.json   who worked on the run, on which versions; written by that process alone

No process changes a file that another one needs. Folders of schema 1 have sessions and units in `manifest.json`.
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
_MOST_BATCHES = 10**8  # of a unit; more are a damaged number


@dataclass(frozen=True)
class UnitRecord:
    """What a folder keeps of a unit.

    Attributes:
        tokens: digest of the token ids, in which batches, and of what is left out.
        everything: digest of that, of the model and of all settings.
        batches: how many it consists of.
        order: in which rows of a text stand, by a column's values.
        column: its name.
    """

    tokens: str
    everything: str
    batches: int
    order: tuple[str, ...] = ()
    column: str = "layer"

    def as_json(self) -> dict[str, Any]:
        """For its file."""
        return asdict(self)


def to_json(content: Any) -> bytes:
    """A document as a file's content; a NaN in it is a programming error and raises."""
    return utf8(json.dumps(content, indent=2, allow_nan=False, ensure_ascii=False) + "\n")


def new_manifest(identity: dict[str, Any], units: Sequence[str]) -> dict[str, Any]:
    """The manifest of a run that has not been started."""
    return {"schema": SCHEMA, "identity": identity, "all_units": list(units)}


def kind_of_run(identity: dict[str, Any]) -> str:
    """`evaluation` or `alignment`."""
    return str(identity.get("kind", "evaluation"))


def read_identity(place: Storage | Place) -> dict[str, Any]:
    """What was asked for.

    Raises:
        RunFolderError: there is no manifest, or it is not one that this version reads.
    """
    identity: dict[str, Any] = _read_file(storage_of(place))["identity"]
    return identity


def read_manifest(place: Storage | Place) -> dict[str, Any]:
    """All that the folder says of its run: `identity`, `all_units`, `sessions` by their start, `units` by name.

    `all_units` is empty in folders of schema 1, which do not name the units that are still to come.

    Raises:
        RunFolderError: there is no manifest, or it is not one that this version reads.
    """
    storage = storage_of(place)
    manifest = _read_file(storage)
    if manifest["schema"] == 1:
        units = manifest.get("units", {})
        return manifest | {"units": units if isinstance(units, dict) else {}, "all_units": []}
    sessions = [document | {"id": name} for name, document in _documents(storage, SESSIONS).items()]
    return manifest | {"sessions": sessions, "units": _documents(storage, UNITS)}


def read_unit(place: Storage | Place, unit: str) -> UnitRecord | None:
    """What the folder keeps of a unit; None if it has not been started.

    Raises:
        RunFolderError: its file is damaged.
    """
    storage, name = storage_of(place), unit_file(unit)
    content = storage.read(name)
    return None if content is None else unit_record(_document(storage, name, content), storage.called(name))


def unit_record(document: dict[str, Any], file: str) -> UnitRecord:
    """What a unit's file says.

    Raises:
        RunFolderError: it is damaged.
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
    """The manifest as it is written."""
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
    """All documents of a folder, by their names without the ending."""
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
