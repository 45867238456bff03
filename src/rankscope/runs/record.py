"""What a manifest records while a run goes on: who worked on it, with which versions, and what each unit is made of."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rankscope.runs.identity import UnitKey, changed_versions, refuse_another_unit
from rankscope.runs.session import now
from rankscope.runs.store import MANIFEST

if TYPE_CHECKING:
    from rankscope.runs.progress import Progress
    from rankscope.runs.store import RunFolder


@dataclass(frozen=True)
class Record:
    """The manifest of an open folder, and this process's part in it.

    Attributes:
        folder: open for writing.
        manifest: what it held when it was opened.
        session: of this process; `measured` names the units that it worked on.
        units: the keys of all units that were begun, by name.
    """

    folder: RunFolder
    manifest: dict[str, Any]
    session: dict[str, Any]
    units: dict[str, dict[str, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.units.update(self.manifest.get("units", {}))
        self.session.setdefault("measured", [])

    def verify(self, unit: str, key: UnitKey) -> None:
        """Checks what is there of a unit before it is trusted.

        Raises:
            RunFolderError: it was measured on other token ids, or in another way.
        """
        if self.folder.is_finished(unit) or self.folder.finished_batches(unit):
            refuse_another_unit(self.folder.path, self.manifest, unit, key)

    def begin(self, unit: str, key: UnitKey, progress: Progress) -> None:
        """Notes that this process works on a unit, before the first of its numbers is written.

        Raises:
            StorageError: the manifest cannot be written.
        """
        if not self.session["measured"] and (changed := changed_versions(self.manifest)):
            progress.say(f"{self.folder.path} was begun with {changed}: it will hold numbers of both")
        self.units[unit] = {"tokens": key.tokens, "everything": key.everything}
        self.session["measured"].append(unit)
        self._write()

    def conclude(self, **more: object) -> None:
        """Notes that this process is done.

        Raises:
            StorageError: the manifest cannot be written.
        """
        self.session.update(more, finished=now())
        self._write()

    def _write(self) -> None:
        sessions = [*self.manifest["sessions"], self.session]
        self.folder.write_json(MANIFEST, self.manifest | {"units": self.units, "sessions": sessions})
