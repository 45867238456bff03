"""`watch`: evaluates the checkpoints of a training run as they appear."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, sleep
from typing import TYPE_CHECKING

from rankscope.errors import (
    CallError,
    DataError,
    ModelError,
    RankscopeError,
    RunFolderError,
    SettingsError,
    StorageError,
)
from rankscope.models import (
    resolve_device,
    step_in_name,
)
from rankscope.runs.evaluation import evaluate
from rankscope.runs.folder import open_run_folder
from rankscope.runs.job import slug
from rankscope.runs.kept_checkpoints import KeptCheckpoints, MeasuredCheckpoint
from rankscope.runs.looks import Look, Lookout
from rankscope.runs.preparation import load_text_sets
from rankscope.runs.twin_cache import key_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rankscope.runs.progress import Progress
    from rankscope.settings import Settings
    from rankscope.watch_settings import WatchSettings


@dataclass
class Watch:
    """The watched output folder of a training run.

    Attributes:
        folder: The output folder of the training run.
        data: Data references.
        kept: Storage of results.
        settings: Settings of each evaluation.
        pace: How often to check, and when to stop.
        progress: Receives messages.
        removed: Names of checkpoints that were removed before they were measured.
        unreadable: Names of checkpoints that cannot be read in their current state.
    """

    folder: Path
    data: tuple[str, ...]
    kept: KeptCheckpoints
    settings: Settings
    pace: WatchSettings
    progress: Progress
    removed: set[str] = field(default_factory=set)
    unreadable: set[str] = field(default_factory=set)
    _to_compare: set[str] = field(default_factory=set)

    @property
    def output(self) -> Path:
        """The folder of results."""
        return self.kept.folder.path

    def follow(self) -> Iterator[MeasuredCheckpoint]:
        """Yields each checkpoint once: those already measured first, then the others as they become ready.

        Raises:
            CallError: an error that applies to all checkpoints.
            StorageError: a result could not be written.
        """
        before = self.kept.finished()
        self.kept.write_table()
        yield from before
        done = {one.name for one in before}
        lookout = Lookout(self.folder)
        lookout.expect([name for name in self.kept.begun() if name not in done])
        self._say_what_is_awaited()
        changed = monotonic()
        while True:
            looked = monotonic()
            look = lookout.look()
            self._tell(look, done)
            changed = looked if look.shows_a_change else changed
            ready = [name for name in look.ready if name not in done and self._is_wanted(name, done)]
            for place, name in enumerate(ready, 1):
                if not self._is_wanted(name, done):
                    break
                if self._measure(name, lookout):
                    done.add(name)
                    self.kept.write_table()
                    yield self.kept.measured(name, len(ready) - place)
                changed = monotonic()
            if self._is_over(look, done, changed):
                return
            sleep(max(0.0, looked + self.pace.every - monotonic()))

    def _say_what_is_awaited(self) -> None:
        there = "" if self.folder.is_dir() else ", which does not exist yet"
        self.progress.say(
            f"watching {self.folder}{there}: every {self.pace.every:g} s, until Ctrl-C; results in {self.output}"
        )

    def _tell(self, look: Look, done: set[str]) -> None:
        """Reports the state of checkpoints, each state once."""
        for name, reason in look.unreadable.items():
            if name not in done:
                self.unreadable.add(name)
                self.progress.say(f"{name} is not complete: {reason}; it is checked again when its files change")
        for name in look.gone:
            self._to_compare.discard(name)
            if name not in done:
                self.unreadable.discard(name)
                self.removed.add(name)
                self.progress.say(f"{name} was removed before it was measured, so it has no row")
        self._to_compare |= done & set(look.moving)
        for name in self._to_compare & set(look.ready):
            self._to_compare.discard(name)
            if not self.kept.has_weights_of(name, self._reference(name)):
                self.progress.say(
                    f"{name} has different weights than when it was measured, and its row describes the earlier ones: "
                    f"remove {self.kept.place(name)} to measure it again, or choose another --output"
                )

    def _is_wanted(self, name: str, done: set[str]) -> bool:
        """Whether a checkpoint is before the last step, or is the first at or after it."""
        last = self.pace.until_step
        return last is None or (step_in_name(name) or 0) < last or not self._has_reached(done)

    def _has_reached(self, done: set[str]) -> bool:
        last = self.pace.until_step
        return last is not None and any((step_in_name(name) or 0) >= last for name in done)

    def _is_over(self, look: Look, done: set[str], changed: float) -> bool:
        """Whether the watch ends here; if so, reports why."""
        if self._has_reached(done) and not any(
            name not in done and self._is_wanted(name, done) for name in look.moving
        ):
            self.progress.say(f"step {self.pace.until_step:,} has been measured")
            return True
        idle = self.pace.idle_minutes
        if idle is not None and monotonic() - changed >= 60 * idle:
            self.progress.say(f"nothing has changed for {idle:g} minutes")
            return True
        return False

    def _measure(self, name: str, lookout: Lookout) -> bool:
        """Evaluates a checkpoint, or reports why it cannot be done now."""
        try:
            if not lookout.is_unchanged(name):
                return False
            if self.kept.discard_if_stale(name, self._reference(name)):
                self.progress.say(f"{name} has changed since its evaluation started: starting again")
            run = evaluate(
                self._reference(name),
                self.data,
                output=self.kept.place(name),
                settings=self.settings,
                progress=self.progress,
            )
        except (RankscopeError, OSError) as error:
            if isinstance(error, (CallError, StorageError)) and not isinstance(error, (ModelError, RunFolderError)):
                raise  # every other checkpoint would fail as well
            if not lookout.is_unchanged(name):  # the next look reports its new state
                self.progress.say(f"{name} changed while it was read: it is measured once it stops changing")
                return False
            if isinstance(error, (RunFolderError, OSError)):
                raise
            lookout.refuse(name)
            self.unreadable.add(name)
            self.progress.say(f"{name} cannot be measured: {' '.join(str(error).split())}")
            return False
        if not self.kept.is_on_its_texts(run.manifest()):
            raise DataError(
                f"the texts of {', '.join(self.data)} changed while {self.folder} was watched: restore them or "
                "choose another --output"
            )
        self.removed.discard(name)
        self.unreadable.discard(name)
        self.progress.say(f"{name} has been measured")
        return True

    def _reference(self, name: str) -> str:
        """A checkpoint's model reference; absolute, so that a watch can resume from another working directory."""
        return str(self.folder.resolve() / name)


def open_watch(
    folder: Path,
    data: Sequence[str],
    output: Path | None,
    settings: Settings,
    pace: WatchSettings,
    progress: Progress,
) -> Watch:
    """Validates the call as far as possible without a checkpoint, and opens the folder of results.

    Args:
        folder: The output folder of a training run; it need not exist yet.
        data: As for `evaluate`.
        output: The folder of results. Default: one under `runs/` named after the call.
        settings: Settings of each evaluation.
        pace: How often to check, and when to stop.
        progress: Receives messages.

    Raises:
        CallError: the call was wrong, or the folder of results belongs to another watch.
    """
    if folder.exists() and not folder.is_dir():
        raise SettingsError(f"watch needs the output folder of a training, but {folder} is a file")
    if not data:
        raise SettingsError("watch needs at least one data set (--data)")
    if output is not None and output.resolve() == folder.resolve():
        raise SettingsError(f"results cannot be written to {folder} itself: choose another --output")
    progress.say("reading texts")
    texts = load_text_sets(data, settings)
    identity = {
        "kind": "watch",
        "folder": str(folder.resolve()),
        "settings": settings.identity | {"device": resolve_device(settings.device)},
        "data": [{"name": one.name, "fingerprint": one.fingerprint} for one in texts],
    }
    place = output or Path("runs") / f"watch-{slug(folder.resolve().name)}-{key_of(identity)[:8]}"
    kept = KeptCheckpoints(open_run_folder(place, identity, progress.say))
    return Watch(folder, tuple(data), kept, settings, pace, progress)
