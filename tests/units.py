"""Units and groups whose networks are made up, and which can be sent to another process."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from rankscope.errors import LayerError, ModelError
from rankscope.measuring import Row, text_columns
from rankscope.runs.carry_out import Group, Unit, UnitFile
from rankscope.runs.folder import open_run_folder
from rankscope.runs.identity import UnitKey
from rankscope.runs.progress import Progress, Silent
from rankscope.runs.record import Record


class Told(Silent):
    """Remembers what was said, and how far it got."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.labels: list[str] = []
        self.totals: list[int] = []
        self.done = 0

    def say(self, message: str) -> None:
        self.said.append(message)

    def start(self, label: str, total: int, unit: str = "tokens") -> None:
        self.labels.append(label)
        self.totals.append(total)

    def relabel(self, label: str) -> None:
        self.labels.append(label)

    def advance(self, done: int, *, computed: bool) -> None:
        self.done += done


def touch(path: Path, _tell: object) -> None:
    """A function for a worker: makes a file."""
    path.touch()


def wait_for(path: Path, _tell: object) -> None:
    """A function for a worker: waits for a file."""
    while not path.exists():
        time.sleep(0.01)


@dataclass(frozen=True)
class Measured:
    """Yields a row for each batch; some batches are poisoned.

    Attributes:
        sizes: of all batches.
        poison: batches that cannot be measured.
        ahead: batches that are measured before the first of them is yielded.
        data: what `only` cuts.
    """

    sizes: tuple[int, ...]
    poison: frozenset[int] = frozenset()
    ahead: int = 0
    data: tuple[str, ...] = ()

    def __call__(self, _network: str, done: Collection[int]) -> Iterator[tuple[int, list[Row]]]:
        waiting = []
        for number in range(len(self.sizes)):
            if number in done:
                continue
            if number in self.poison:
                raise LayerError(f"batch {number} is poisoned")
            waiting.append((number, [dict.fromkeys(text_columns()) | {"text_index": number, "layer": "last"}]))
            if len(waiting) > self.ahead:
                yield waiting.pop(0)
        yield from waiting

    def only(self, numbers: Collection[int]) -> Measured:
        return replace(self, data=tuple(self.data[number] for number in sorted(numbers)))


@dataclass(frozen=True)
class Loading:
    """Says that it loads; a broken network does not come."""

    name: str
    is_broken: bool = False

    def __call__(self, progress: Progress) -> str:
        progress.say(f"loading {self.name}")
        if self.is_broken:
            raise ModelError(f"{self.name} is broken")
        return self.name


@dataclass
class Made:
    """Units and groups of a run in a folder."""

    path: Path
    names: tuple[str, ...] = ("a", "b", "c")
    record: Record = field(init=False)

    def __post_init__(self) -> None:
        folder = open_run_folder(self.path, {"settings": {}}, units=self.names)
        self.record = Record(folder, {"versions": {}, "sources": [], "data": []})

    def unit(self, name: str, sizes: Collection[int] = (10, 10), **more: object) -> Unit:
        measured = Measured(
            tuple(sizes), more.pop("poison", frozenset()), more.pop("ahead", 0), tuple(map(str, range(len(sizes))))
        )
        store = UnitFile(self.record.folder, name, ("last",))
        key = UnitKey("tokens", name)
        unit = Unit(name, key, self.record, store, name, tuple(sizes), "tokens", measured, excerpt=measured.only)
        return replace(unit, **more)

    def group(self, *units: Unit, is_broken: bool = False, size: int = 0) -> Group:
        return Group(units, Loading(units[0].name, is_broken), size=size)
