"""What a process notes in a run's manifest while it works: itself, and the units that it measures."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rankscope.runs.identity import UnitKey, changed_versions, refuse_another_unit
from rankscope.runs.manifest import MANIFEST, read_manifest
from rankscope.runs.session import now

if TYPE_CHECKING:
    from rankscope.runs.folder import RunFolder
    from rankscope.runs.progress import Progress


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
    id: str = field(default_factory=lambda: uuid.uuid4().hex)

    def __post_init__(self) -> None:
        self.session.setdefault("measured", [])

    def verify(self, unit: str, key: UnitKey) -> None:
        """Checks what is there of a unit before it is trusted.

        Raises:
            RunFolderError: it was measured on other token ids, or in another way.
        """
        refuse_another_unit(self.folder.path, read_manifest(self.folder.path), unit, key)

    def begin(self, unit: str, key: UnitKey, progress: Progress) -> None:
        """Notes that this process works on a unit, before the first of its numbers is written.

        Raises:
            StorageError: the manifest cannot be written.
        """
        before = read_manifest(self.folder.path)
        if not self.session["measured"] and (changed := changed_versions(before)):
            progress.say(f"{self.folder.path} was begun with {changed}: it will hold numbers of both")
        self.session["measured"].append(unit)
        self._write({unit: {"tokens": key.tokens, "everything": key.everything}})

    def conclude(self, **more: object) -> None:
        """Notes that this process is done.

        Raises:
            StorageError: the manifest cannot be written.
        """
        self.session.update(more, finished=now())
        self._write({})

    def _write(self, units: dict[str, dict[str, str]]) -> None:
        """Adds to what is there, which other processes may have written since."""
        with self.folder.locked():
            manifest = read_manifest(self.folder.path)
            others = [session for session in manifest["sessions"] if session.get("id") != self.id]
            manifest |= {
                "units": manifest.get("units", {}) | units,
                "sessions": [*others, self.session | {"id": self.id}],
            }
            self.folder.write_json(MANIFEST, manifest)
