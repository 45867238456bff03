"""What a process notes in a run's folder while it works: itself, and the units that it measures."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from rankscope.runs.identity import changed_versions, refuse_another_unit
from rankscope.runs.manifest import UnitRecord, read_manifest, read_unit, session_file, to_json, unit_file
from rankscope.runs.session import now

if TYPE_CHECKING:
    from rankscope.runs.folder import RunFolder
    from rankscope.runs.progress import Progress


def _new_id() -> str:
    """The time, so that sessions sort by it, and a few digits that no other process has."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S.%f}-{uuid.uuid4().hex[:8]}"


@dataclass(frozen=True)
class Record:
    """The part of one process in a run.

    Attributes:
        folder: open for writing.
        session: of this process; `measured` names the units that it worked on.
        id: tells this process from others that work in the folder at the same time.
    """

    folder: RunFolder
    session: dict[str, Any]
    id: str = field(default_factory=_new_id)

    def __post_init__(self) -> None:
        self.session.setdefault("measured", [])

    def verify(self, unit: str, ours: UnitRecord) -> None:
        """Checks what is there of a unit before it is trusted.

        Raises:
            RunFolderError: it was measured on other token ids, or in another way.
        """
        refuse_another_unit(self.folder.storage, read_unit(self.folder.storage, unit), unit, ours)

    def begin(self, unit: str, ours: UnitRecord, progress: Progress) -> None:
        """Notes that this process works on a unit, before the first of its numbers is written.

        Raises:
            RunFolderError: another process has begun it since, in another way.
            StorageError: the folder cannot be written.
        """
        storage = self.folder.storage
        if not self.session["measured"] and (changed := changed_versions(read_manifest(storage))):
            progress.say(f"{storage.place} was started with {changed}: it will contain numbers from both")
        if not storage.create(unit_file(unit), to_json(ours.as_json())):
            self.verify(unit, ours)
        if unit not in self.session["measured"]:
            self.session["measured"].append(unit)
            self._write()

    def conclude(self, **more: object) -> None:
        """Notes that this process is done.

        Raises:
            StorageError: the folder cannot be written.
        """
        self.session.update(more, finished=now())
        self._write()

    def _write(self) -> None:
        self.folder.storage.write(session_file(self.id), to_json(self.session | {"id": self.id}))
