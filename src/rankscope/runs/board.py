"""The progress of all workers of a run, on one bar."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rankscope.runs.worker import Began, Kept, Said, Taken

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rankscope.runs.carry_out import Unit, UnitId
    from rankscope.runs.progress import Progress
    from rankscope.runs.worker import Message

_NAMED = 2


@dataclass
class Board:
    """Turns the messages of workers into progress; each batch counts once, even if it is reported repeatedly.

    Messages can arrive late: those about starting a task or a step are ignored when the task has ended.

    Attributes:
        progress: Receives progress.
        sizes: Batch sizes of each unit.
    """

    progress: Progress
    sizes: Mapping[UnitId, Sequence[int]]
    _taken: set[int] = field(default_factory=set)
    _ended: set[int] = field(default_factory=set)
    _doing: dict[int, str] = field(default_factory=dict)
    _kept: set[tuple[UnitId, int]] = field(default_factory=set)
    _said: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, units: Sequence[Unit], missing: Mapping[UnitId, frozenset[int]], progress: Progress) -> Board:
        """A board for the missing batches of a run; shows the bar."""
        board = cls(progress, {unit.id: unit.sizes for unit in units})
        total = sum(unit.sizes[number] for unit in units for number in missing.get(unit.id, ()))
        counted = " and ".join(dict.fromkeys(unit.counted for unit in units))
        progress.start(board.label, total, counted)
        return board

    @property
    def label(self) -> str:
        """The number of busy workers, and what the first few are doing."""
        doing = list(self._doing.values())
        each = {label: doing.count(label) for label in doing}
        told = [label if count == 1 else f"{count} x {label}" for label, count in each.items()]
        more = f" and {len(told) - _NAMED} more" if len(told) > _NAMED else ""
        if not doing:
            return "waiting for workers"
        return f"{len(doing)} {'worker' if len(doing) == 1 else 'workers'}: {'; '.join(told[:_NAMED])}{more}"

    def see(self, message: Message) -> None:
        """Processes a message."""
        match message:
            case Said(text):
                if text not in self._said:  # every worker reports that it loads its network
                    self._said.add(text)
                    self.progress.say(text)
            case Taken(task) | Began(task, _) if task in self._ended:
                pass
            case Taken(task):
                if task in self._taken:
                    lost = self._doing.pop(task, "a task")
                    self.progress.say(f"{lost}: its worker was lost, another one continues")
                self._taken.add(task)
            case Began(task, label):
                self._doing[task] = label
                self.progress.relabel(self.label)
            case Kept(unit, batch):
                if (unit, batch) not in self._kept:
                    self._kept.add((unit, batch))
                    self.progress.advance(self.sizes[unit][batch], computed=True)

    def end(self, task: int) -> None:
        """Marks a task as ended, whether it is done or was given up."""
        self._ended.add(task)
        if self._doing.pop(task, None) is not None:
            self.progress.relabel(self.label)
