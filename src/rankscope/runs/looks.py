"""Polls a training run's output folder for checkpoints that have been written completely.

There is no signal that a checkpoint is complete. It is considered complete when it can be read and none of its files
has changed between two looks.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from rankscope.models import order_of_checkpoint, steps_in, why_unreadable

Files = frozenset[tuple[str, int, int, int]]


@dataclass(frozen=True)
class Look:
    """The result of one look at a folder.

    Attributes:
        ready: Complete checkpoints that have not changed since the last look, by step.
        unreadable: Checkpoints that have not changed since the last look and cannot be read, with the reason. A
            checkpoint is listed once, and again only after its files have changed.
        moving: Checkpoints that are new, or have changed since the last look.
        gone: Checkpoints that have been removed since the last look.
    """

    ready: tuple[str, ...] = ()
    unreadable: dict[str, str] = field(default_factory=dict)
    moving: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()

    @property
    def shows_a_change(self) -> bool:
        """Whether any checkpoint is new, changed or removed."""
        return bool(self.moving or self.gone)


@dataclass
class Lookout:
    """Remembers the files of a folder's checkpoints as of the last look.

    Attributes:
        folder: The output folder of a training run; it need not exist yet.
    """

    folder: Path
    _seen: dict[str, Files] = field(default_factory=dict)
    _refused: dict[str, Files] = field(default_factory=dict)

    def expect(self, names: list[str]) -> None:
        """Registers checkpoints known from before the first look, which are `gone` if it does not find them."""
        self._seen |= dict.fromkeys(names, Files())

    def look(self) -> Look:
        """Compares the folder with its state at the last look."""
        before = self._seen
        self._seen = {name: files_of(self.folder / name) for name in steps_in(self.folder)}
        moving = [name for name, files in self._seen.items() if before.get(name) != files]
        ready, unreadable = [], {}
        for name, files in self._seen.items():
            if name in moving or self._refused.get(name) == files:
                continue
            try:
                reason = why_unreadable(self.folder / name)
            except OSError:  # a file has been removed since it was listed: left to the next look
                continue
            if reason is None:
                ready.append(name)
            else:
                self._refused[name] = files
                unreadable[name] = reason
        gone = [name for name in before if name not in self._seen]
        return Look(tuple(ready), unreadable, tuple(moving), tuple(sorted(gone, key=order_of_checkpoint)))

    def is_unchanged(self, name: str) -> bool:
        """Whether a checkpoint's files are the same as at the last look."""
        return files_of(self.folder / name) == self._seen.get(name)

    def refuse(self, name: str) -> None:
        """Excludes a checkpoint from `ready` until one of its files changes."""
        self._refused[name] = self._seen.get(name, Files())


def files_of(folder: Path) -> Files:
    """All files below a folder, each with path, size, and its `mtime` and `ctime` in nanoseconds."""
    found = []
    for place, _, names in os.walk(folder):
        for name in names:
            file = Path(place) / name
            with suppress(OSError):  # removed during the look: reported by the next one
                stat = file.stat()
                found.append((str(file.relative_to(folder)), stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns))
    return frozenset(found)
