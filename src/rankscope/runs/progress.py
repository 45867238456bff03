"""Progress: a bar with rate and remaining time on a terminal, plain lines elsewhere, or nothing."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Protocol, TextIO

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

_SECONDS_BETWEEN_LINES = 10.0


class Progress(Protocol):
    """Receives the progress of a computation, in tokens or another unit."""

    def say(self, message: str) -> None:
        """Reports something outside the measured work, such as loading a network."""

    def start(self, label: str, total: int, unit: str = "tokens") -> None:
        """Reports that a piece of work starts, with its size in `unit`."""

    def relabel(self, label: str) -> None:
        """Reports the current step of the work that was started last."""

    def advance(self, done: int, *, computed: bool) -> None:
        """Reports that a batch is done: computed now (`computed`), or found in the run's folder."""


class Silent:
    """Reports nothing."""

    def say(self, message: str) -> None:
        """Does nothing."""

    def start(self, label: str, total: int, unit: str = "tokens") -> None:
        """Does nothing."""

    def relabel(self, label: str) -> None:
        """Does nothing."""

    def advance(self, done: int, *, computed: bool) -> None:
        """Does nothing."""


class Lines:
    """Plain lines at intervals, for logs."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._label, self._unit, self._total, self._done, self._computed = "", "tokens", 0, 0, 0
        self._started = self._spoke = time.monotonic()

    def say(self, message: str) -> None:
        """Prints the message on a line."""
        print(message, file=self._stream, flush=True)

    def start(self, label: str, total: int, unit: str = "tokens") -> None:
        """Prints the label and size of the work."""
        self._label, self._unit, self._total, self._done, self._computed = label, unit, total, 0, 0
        self._started = self._spoke = time.monotonic()
        self.say(f"{label}: {total:,} {unit}")

    def relabel(self, label: str) -> None:
        """Changes the label in subsequent lines."""
        self._label = label

    def advance(self, done: int, *, computed: bool) -> None:
        """Prints a line if ten seconds have passed since the last one, or if the work is done."""
        self._done += done
        self._computed += done if computed else 0
        now = time.monotonic()
        if now - self._spoke < _SECONDS_BETWEEN_LINES and self._done < self._total:
            return
        self._spoke = now
        rate = self._computed / max(now - self._started, 1e-9)
        speed = f"{rate:,.0f}" if rate >= 10 else f"{rate:.2g}"
        left = f", {(self._total - self._done) / rate:,.0f} s left" if rate > 0 and self._done < self._total else ""
        share = 100 * self._done // max(self._total, 1)
        self.say(f"{self._label}: {share} %, {self._done:,} of {self._total:,} {self._unit}, {speed}/s{left}")


class Bar:
    """A bar on a terminal."""

    def __init__(self, bar: RichProgress) -> None:
        self._bar = bar
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def say(self, message: str) -> None:
        """Prints the message, and hides the bar until the next `start`, so that download bars can be shown."""
        self._bar.stop()
        self._bar.console.print(message, highlight=False, markup=False)

    def start(self, label: str, total: int, unit: str = "tokens") -> None:
        """Shows a bar for the work."""
        if self._task is not None:
            self._bar.remove_task(self._task)
        self._bar.start()
        self._task = self._bar.add_task(label, total=total, unit=unit)

    def relabel(self, label: str) -> None:
        """Changes the label of the bar."""
        if self._task is not None:
            self._bar.update(self._task, description=label)

    def advance(self, done: int, *, computed: bool) -> None:  # noqa: ARG002 (the bar's rate is a recent average)
        """Moves the bar."""
        if self._task is not None:
            self._bar.advance(self._task, done)


def bar_on_stderr() -> Bar:
    """A bar with rate and remaining time, on standard error."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Task, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as RichProgress
    from rich.text import Text

    class Rate(TextColumn):
        def render(self, task: object) -> Text:
            if not isinstance(task, Task) or not task.speed:
                return Text("")
            speed = f"{task.speed:,.0f}" if task.speed >= 10 else f"{task.speed:.2g}"
            return Text(f"{speed} {task.fields['unit']}/s", style="progress.data.speed")

    return Bar(
        RichProgress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            Rate(""),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=Console(file=sys.stderr),
        )
    )
