"""What a process records in a run's folder while it works: its session, and the units that it measures."""

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
    """The current time, so that sessions sort by it, and random digits to make it unique."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S.%f}-{uuid.uuid4().hex[:8]}"


@dataclass(frozen=True)
class Record:
    """The record of one process in a run.

    Attributes:
        folder: The run's folder, open for writing.
        session: The session of this process; `measured` lists the units that it worked on.
        id: Distinguishes this process from others that work in the folder at the same time.
    """

    folder: RunFolder
    session: dict[str, Any]
    id: str = field(default_factory=_new_id)

    def __post_init__(self) -> None:
        self.session.setdefault("measured", [])

    def verify(self, unit: str, ours: UnitRecord) -> None:
        """Checks that existing measurements of a unit belong to this run.

        Raises:
            RunFolderError: the unit was measured on other token ids, or in another way.
        """
        refuse_another_unit(self.folder.storage, read_unit(self.folder.storage, unit), unit, ours)

    def begin(self, unit: str, ours: UnitRecord, progress: Progress) -> None:
        """Records that this process works on a unit; called before any of its numbers are written.

        Raises:
            RunFolderError: another process has started the unit in another way.
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
        """Records that this process has finished.

        Raises:
            StorageError: the folder cannot be written.
        """
        self.session.update(more, finished=now())
        self._write()

    def _write(self) -> None:
        self.folder.storage.write(session_file(self.id), to_json(self.session | {"id": self.id}))
