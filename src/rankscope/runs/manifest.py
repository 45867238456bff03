"""The manifest of a run: what was asked for, who worked on it with which versions, and what each unit is made of."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from rankscope.errors import RunFolderError

if TYPE_CHECKING:
    from pathlib import Path

MANIFEST = "manifest.json"
_SCHEMA_VERSION = 1


def new_manifest(identity: dict[str, Any]) -> dict[str, Any]:
    """The manifest of a run on which nobody has worked yet."""
    return {"schema": _SCHEMA_VERSION, "identity": identity, "sessions": []}


def kind_of_run(identity: dict[str, Any]) -> str:
    """`evaluation` or `alignment`."""
    return str(identity.get("kind", "evaluation"))


def read_manifest(path: Path) -> dict[str, Any]:
    """The manifest of the run in a folder.

    Raises:
        RunFolderError: there is none, or it is not one that this version reads.
    """
    file = path / MANIFEST
    try:
        manifest = json.loads(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise RunFolderError(f"{path} is not a run's folder: it holds no {MANIFEST}") from None
    except OSError as error:
        raise RunFolderError(f"{str(file)[:200]} cannot be read: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise RunFolderError(f"{file} is not JSON: {error}") from error
    if (
        not isinstance(manifest, dict)
        or manifest.get("schema") != _SCHEMA_VERSION
        or not (isinstance(manifest.get("identity"), dict) and isinstance(manifest.get("sessions"), list))
    ):
        raise RunFolderError(f"{file} is not a manifest of schema {_SCHEMA_VERSION}: made by another version?")
    return manifest
