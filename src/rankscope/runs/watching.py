"""`watch`: evaluates the checkpoints of a training as they appear, and keeps one table of them.

    manifest.json            what is watched, with which texts and settings
    checkpoints/NAME/        a run's folder for each checkpoint, as `evaluate` makes it
    table.csv, table.md      the rows of all checkpoints that are measured

The table is made of the finished runs each time, so that a kill at any moment leaves nothing to repair.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

from rankscope.atomic import write_text
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
    digests_by_name,
    parse_model_reference,
    resolve_device,
    step_in_name,
    weight_files,
)
from rankscope.runs.evaluation import evaluate
from rankscope.runs.folder import SUMMARY, RunFolder, open_run_folder
from rankscope.runs.job import slug
from rankscope.runs.looks import Look, Lookout
from rankscope.runs.manifest import MANIFEST, read_manifest
from rankscope.runs.preparation import load_text_sets
from rankscope.runs.run import Run
from rankscope.runs.twin_cache import key_of
from rankscope.tables import checkpoints_table, to_csv, to_markdown, whole_table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rankscope.runs.progress import Progress
    from rankscope.settings import Settings
    from rankscope.statistics import Summary
    from rankscope.watch_settings import WatchSettings

_CHECKPOINTS = "checkpoints"


@dataclass(frozen=True)
class MeasuredCheckpoint:
    """A checkpoint that is measured.

    Attributes:
        name: of its folder.
        run: its evaluation.
        rows: of the run's summary, with `checkpoint` and `step`.
        waiting: how many more can be had at once.
    """

    name: str
    run: Run
    rows: tuple[Summary, ...]
    waiting: int = 0


@dataclass
class Watch:
    """A training's folder that is watched.

    Attributes:
        folder: that the training writes to.
        data: references of texts.
        kept: where results are.
        settings: of each evaluation.
        pace: how often to look, and when to stop.
        progress: told of what happens.
        removed: names of checkpoints that were gone before they were measured.
        unreadable: names of checkpoints that cannot be read as they are.
    """

    folder: Path
    data: tuple[str, ...]
    kept: RunFolder
    settings: Settings
    pace: WatchSettings
    progress: Progress
    removed: set[str] = field(default_factory=set)
    unreadable: set[str] = field(default_factory=set)
    _to_compare: set[str] = field(default_factory=set)

    @property
    def output(self) -> Path:
        """The folder with the results."""
        return self.kept.path

    def finished(self) -> list[MeasuredCheckpoint]:
        """The checkpoints that are measured, by step.

        Raises:
            RunFolderError: a run's folder is damaged.
        """
        names = [path.parent.name for path in (self.output / _CHECKPOINTS).glob(f"*/{SUMMARY}")]
        names.sort(key=lambda name: (step_in_name(name) or 0, name))
        runs = {name: Run(self._place(name)) for name in names}
        found = [self._measured(name, run) for name, run in runs.items() if self._is_on_our_texts(run.manifest())]
        return [
            MeasuredCheckpoint(one.name, one.run, one.rows, len(found) - place) for place, one in enumerate(found, 1)
        ]

    def follow(self) -> Iterator[MeasuredCheckpoint]:
        """Yields each checkpoint once: those that are measured already, then the others when they are ready.

        Raises:
            CallError: something is wrong that no other checkpoint would put right.
            StorageError: a result could not be written.
        """
        before = self.finished()
        self._write_table()
        yield from before
        done = {one.name for one in before}
        lookout = Lookout(self.folder)
        lookout.expect([path.name for path in (self.output / _CHECKPOINTS).glob("*") if path.name not in done])
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
                    self._write_table()
                    yield self._measured(name, Run(self._place(name)), len(ready) - place)
                changed = monotonic()
            if self._is_over(look, done, changed):
                return
            sleep(max(0.0, looked + self.pace.every - monotonic()))

    def _place(self, name: str) -> Path:
        return self.output / _CHECKPOINTS / name

    def _measured(self, name: str, run: Run, waiting: int = 0) -> MeasuredCheckpoint:
        rows = tuple({"checkpoint": name, "step": step_in_name(name), **row} for row in run.summary_rows())
        return MeasuredCheckpoint(name, run, rows, waiting)

    def _write_table(self) -> None:
        with self.kept.locked():  # another process may watch with us
            rows = [row for one in self.finished() for row in one.rows]
            if rows:
                write_text(self.output / "table.csv", to_csv(whole_table(rows)))
                write_text(self.output / "table.md", to_markdown(checkpoints_table(rows)))

    def _say_what_is_awaited(self) -> None:
        there = "" if self.folder.is_dir() else ", which is not there yet"
        self.progress.say(
            f"watching {self.folder}{there}: a look every {self.pace.every:g} s, until Ctrl-C; results in {self.output}"
        )

    def _tell(self, look: Look, done: set[str]) -> None:
        """Says what has become of checkpoints, each thing once."""
        for name, reason in look.unreadable.items():
            if name not in done:
                self.unreadable.add(name)
                self.progress.say(f"{name} is not complete: {reason}; it is read when its files have changed")
        for name in look.gone:
            self._to_compare.discard(name)
            if name not in done:
                self.unreadable.discard(name)
                self.removed.add(name)
                self.progress.say(f"{name} was removed before it was measured: it has no row")
        self._to_compare |= done & set(look.moving)
        for name in self._to_compare & set(look.ready):
            self._to_compare.discard(name)
            if not self._is_of_these_weights(name):
                self.progress.say(
                    f"{name} has other weights than when it was measured, and its row is that of the earlier ones: "
                    f"remove {self._place(name)} to have it measured again, or choose another --output"
                )

    def _is_wanted(self, name: str, done: set[str]) -> bool:
        """Whether a checkpoint is before the last step, or is the first at or after it."""
        last = self.pace.until_step
        return last is None or (step_in_name(name) or 0) < last or not self._has_reached(done)

    def _has_reached(self, done: set[str]) -> bool:
        last = self.pace.until_step
        return last is not None and any((step_in_name(name) or 0) >= last for name in done)

    def _is_over(self, look: Look, done: set[str], changed: float) -> bool:
        """Whether the watch ends here, which it then says."""
        if self._has_reached(done) and not any(
            name not in done and self._is_wanted(name, done) for name in look.moving
        ):
            self.progress.say(f"step {self.pace.until_step:,} is measured")
            return True
        idle = self.pace.idle_minutes
        if idle is not None and monotonic() - changed >= 60 * idle:
            self.progress.say(f"nothing has changed for {idle:g} minutes")
            return True
        return False

    def _measure(self, name: str, lookout: Lookout) -> bool:
        """Evaluates a checkpoint; says why where it cannot be done now."""
        try:
            if not lookout.is_unchanged(name):
                return False
            self._discard_if_stale(name)
            run = evaluate(
                self._reference(name),
                self.data,
                output=self._place(name),
                settings=self.settings,
                progress=self.progress,
            )
        except (RankscopeError, OSError) as error:
            if isinstance(error, (CallError, StorageError)) and not isinstance(error, (ModelError, RunFolderError)):
                raise  # every other checkpoint would fail as well
            if not lookout.is_unchanged(name):  # the next look tells what has become of it
                self.progress.say(f"{name} has changed while it was read: it is measured when it is at rest")
                return False
            if isinstance(error, (RunFolderError, OSError)):
                raise
            lookout.refuse(name)
            self.unreadable.add(name)
            self.progress.say(f"{name} cannot be measured: {' '.join(str(error).split())}")
            return False
        if not self._is_on_our_texts(run.manifest()):
            raise DataError(
                f"the texts of {', '.join(self.data)} have changed while {self.folder} was watched: restore them, or "
                "choose another --output"
            )
        self.removed.discard(name)
        self.unreadable.discard(name)
        self.progress.say(f"{name} is measured")
        return True

    def _reference(self, name: str) -> str:
        """Of a model; absolute, so that a watch can go on from another working directory."""
        return str(self.folder.resolve() / name)

    def _discard_if_stale(self, name: str) -> None:
        """Removes what an evaluation left unfinished of files that are others by now: nothing can complete it."""
        place = self._place(name)
        if not (place / MANIFEST).exists():
            return
        if not (self._is_on_our_texts(read_manifest(place)) and self._is_of_these_weights(name)):
            self.progress.say(f"{name} has changed since its evaluation was begun: it begins anew")
            shutil.rmtree(place)

    def _is_of_these_weights(self, name: str) -> bool:
        """Whether a run's folder was begun with the weights that the checkpoint has now."""
        (model,) = read_manifest(self._place(name))["identity"]["models"]
        now = digests_by_name(weight_files(parse_model_reference(self._reference(name))))
        return bool(model["parts"].get("weights", {}) == now)

    def _is_on_our_texts(self, manifest: dict[str, Any]) -> bool:
        ours = read_manifest(self.output)["identity"]["data"]
        return bool(manifest["identity"].get("data") == ours)


def open_watch(
    folder: Path,
    data: Sequence[str],
    output: Path | None,
    settings: Settings,
    pace: WatchSettings,
    progress: Progress,
) -> Watch:
    """Checks what can be checked before there is a checkpoint, and opens the folder of results.

    Args:
        folder: that a training writes checkpoints to, or will.
        data: as for `evaluate`.
        output: the folder of results; left out, one under `runs/` named by what is asked for.
        settings: of each evaluation.
        pace: how often to look, and when to stop.
        progress: told of what happens.

    Raises:
        CallError: the call was wrong, or the folder of results belongs to another watch.
    """
    if folder.exists() and not folder.is_dir():
        raise SettingsError(f"a watch is kept on a folder that a training writes to, and {folder} is a file")
    if not data:
        raise SettingsError("a watch needs at least one data set (--data)")
    if output is not None and output.resolve() == folder.resolve():
        raise SettingsError(f"results cannot go into {folder} itself: choose another --output")
    progress.say("reading texts")
    texts = load_text_sets(data, settings)
    identity = {
        "kind": "watch",
        "folder": str(folder.resolve()),
        "settings": settings.identity | {"device": resolve_device(settings.device)},
        "data": [{"name": one.name, "fingerprint": one.fingerprint} for one in texts],
    }
    place = output or Path("runs") / f"watch-{slug(folder.resolve().name)}-{key_of(identity)[:8]}"
    return Watch(folder, tuple(data), open_run_folder(place, identity, progress.say), settings, pace, progress)
