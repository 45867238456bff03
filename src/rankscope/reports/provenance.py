"""The provenance of results: models, data, settings, versions, and the command that repeats a run."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rankscope.settings import AlignmentSettings, Settings
from rankscope.tables import Column, Table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rankscope.runs import Run


@dataclass(frozen=True)
class Provenance:
    """Everything that went into a run.

    Attributes:
        folder: the run's folder or address.
        models: reference, revision and fingerprint of each model.
        data: name and fingerprint of each data set.
        settings: non-default settings, by name.
        sessions: time, device and versions of each session.
        command: repeats the run.
    """

    folder: str
    models: Table
    data: Table
    settings: Mapping[str, object]
    sessions: Table
    command: str


def provenance(run: Run) -> Provenance:
    """The provenance of a run, from its manifest.

    Raises:
        RunFolderError: the folder does not hold a run.
    """
    manifest = run.manifest()
    identity, sessions = manifest["identity"], manifest.get("sessions", [])
    name, revision = Column("reference", "model", align="left"), Column("revision", "revision", align="left")
    fingerprint = Column("fingerprint", "sha256", align="left", show=lambda digest: str(digest)[:16])
    columns = [name, revision, fingerprint]
    if any("initializer_source" in model for model in identity["models"]):
        columns += [
            Column("initializer_range", "twin's initializer_range", significant=4),
            Column("initializer_source", "from", align="left"),
        ]
    return Provenance(
        folder=str(run.place),
        models=Table(tuple(columns), tuple(identity["models"])),
        data=Table((Column("name", "data", align="left"), fingerprint), tuple(identity["data"])),
        settings=non_default_settings(identity),
        sessions=_sessions(sessions),
        command=command(manifest),
    )


def command(manifest: Mapping[str, Any]) -> str:
    """The command line that repeats a manifest's run, quoted for a shell."""
    identity = manifest["identity"]
    sessions = manifest.get("sessions", [])
    data = sessions[0].get("data") if sessions else None
    words = ["rankscope", "align" if identity.get("kind") == "alignment" else "evaluate"]
    words += [model["reference"] for model in identity["models"]]
    for name in data or [entry["name"] for entry in identity["data"]]:
        words += ["--data", name]
    for name, value in non_default_settings(identity).items():
        flag = name.replace("_", "-")
        if isinstance(value, bool):
            words.append(f"--{flag}" if value else f"--no-{flag}")
        else:
            words += [f"--{flag}", str(value)]
    return shlex.join(words)


def non_default_settings(identity: Mapping[str, Any]) -> dict[str, object]:
    """Non-default settings by name; device and batch size are always included: their defaults depend on the machine."""
    usual = AlignmentSettings() if identity.get("kind") == "alignment" else Settings()
    given = {name: value for name, value in identity["settings"].items() if value not in (None, "")}
    return {name: value for name, value in given.items() if value != getattr(usual, name, None)}


def _clock(moment: object) -> str | None:
    return None if moment is None else str(moment).replace("T", " ").replace("+00:00", " UTC")


def _sessions(sessions: list[dict[str, Any]]) -> Table:
    rows = [
        {
            "started": _clock(session.get("started")),
            "finished": _clock(session.get("finished")),
            "device": session.get("device"),
            "sources": "; ".join(session.get("sources", [])),
            "versions": ", ".join(f"{name} {version}" for name, version in session.get("versions", {}).items()),
        }
        for session in sessions
    ]
    columns = ("started", "finished", "device", "sources", "versions")
    headings = dict(zip(columns, ("started", "finished", "on", "texts from", "versions"), strict=True))
    return Table(tuple(Column(key, headings[key], align="left") for key in columns), tuple(rows))
