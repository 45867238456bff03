"""Looking at a folder that a training writes to: which checkpoints have come to rest since the last look.

No system says when a checkpoint's writer is done. A checkpoint counts as written when all that it needs is there and
no file of it has changed from one look to the next.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from rankscope.models import step_in_name, steps_in, why_unreadable

Files = frozenset[tuple[str, int, int, int]]


@dataclass(frozen=True)
class Look:
    """What one look at a folder tells.

    Attributes:
        ready: checkpoints that are whole and were the same at the last look, by step.
        unreadable: checkpoints that were the same at the last look and cannot be read, with the reason; each time
            that its files change, a checkpoint comes here once.
        moving: checkpoints that are new, or have changed since the last look.
        gone: checkpoints that were there at the last look.
    """

    ready: tuple[str, ...] = ()
    unreadable: dict[str, str] = field(default_factory=dict)
    moving: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()

    @property
    def shows_a_change(self) -> bool:
        """Whether anything in the folder is not as it was."""
        return bool(self.moving or self.gone)


@dataclass
class Lookout:
    """Remembers what a folder's checkpoints consisted of at the last look.

    Attributes:
        folder: that a training writes to; it need not exist yet.
    """

    folder: Path
    _seen: dict[str, Files] = field(default_factory=dict)
    _refused: dict[str, Files] = field(default_factory=dict)

    def expect(self, names: list[str]) -> None:
        """Checkpoints that were there before the first look, and are gone if it does not find them."""
        self._seen |= dict.fromkeys(names, Files())

    def look(self) -> Look:
        """Compares the folder with what it was at the last look."""
        before = self._seen
        self._seen = {name: files_of(self.folder / name) for name in steps_in(self.folder)}
        moving = [name for name, files in self._seen.items() if before.get(name) != files]
        ready, unreadable = [], {}
        for name, files in self._seen.items():
            if name in moving or self._refused.get(name) == files:
                continue
            try:
                reason = why_unreadable(self.folder / name)
            except OSError:  # a file has gone since it was listed: the next look tells
                continue
            if reason is None:
                ready.append(name)
            else:
                self._refused[name] = files
                unreadable[name] = reason
        gone = [name for name in before if name not in self._seen]
        return Look(tuple(ready), unreadable, tuple(moving), tuple(sorted(gone, key=_step)))

    def is_unchanged(self, name: str) -> bool:
        """Whether a checkpoint still is what it was at the last look."""
        return files_of(self.folder / name) == self._seen.get(name)

    def refuse(self, name: str) -> None:
        """Leaves a checkpoint alone until one of its files changes."""
        self._refused[name] = self._seen.get(name, Files())


def files_of(folder: Path) -> Files:
    """Every file below a folder: its path, size, and times of change in nanoseconds."""
    found = []
    for place, _, names in os.walk(folder):
        for name in names:
            file = Path(place) / name
            with suppress(OSError):  # it went while we looked, which the next look shows
                stat = file.stat()
                found.append((str(file.relative_to(folder)), stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns))
    return frozenset(found)


def _step(name: str) -> tuple[int, str]:
    return step_in_name(name) or 0, name
