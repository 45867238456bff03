"""What a watch keeps: a run for each checkpoint, and one table of those that are finished.

    manifest.json            what is watched, with which texts and settings
    checkpoints/NAME/        a run's folder for each checkpoint, as `evaluate` makes it
    table.csv, table.md      the rows of all checkpoints that are measured

The table is made of the finished runs each time, so that a kill at any moment leaves nothing to repair.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rankscope.atomic import write_text
from rankscope.models import digests_by_name, parse_model_reference, step_in_name, weight_files
from rankscope.runs.folder import SUMMARY, RunFolder
from rankscope.runs.manifest import MANIFEST, read_manifest
from rankscope.runs.run import Run
from rankscope.tables import checkpoints_table, to_csv, to_markdown, whole_table

if TYPE_CHECKING:
    from rankscope.statistics import Summary


@dataclass(frozen=True)
class MeasuredCheckpoint:
    """A checkpoint that is measured.

    Attributes:
        name: of its folder.
        run: its evaluation.
        rows: of the run's summary, with `checkpoint` and `step`.
        waiting: how many more are ready now.
    """

    name: str
    run: Run
    rows: tuple[Summary, ...]
    waiting: int = 0


@dataclass(frozen=True)
class KeptCheckpoints:
    """The results of a watch.

    Attributes:
        folder: where they are.
    """

    folder: RunFolder

    @property
    def _runs(self) -> Path:
        return self.folder.path / "checkpoints"

    def place(self, name: str) -> Path:
        """The folder of a checkpoint's run."""
        return self._runs / name

    def begun(self) -> list[str]:
        """The checkpoints whose evaluation was begun, finished or not."""
        return [path.name for path in self._runs.glob("*")]

    def finished(self) -> list[MeasuredCheckpoint]:
        """The checkpoints that are measured, by step.

        Raises:
            RunFolderError: a run's folder is damaged.
        """
        names = sorted((path.parent.name for path in self._runs.glob(f"*/{SUMMARY}")), key=_step)
        ours = [name for name in names if self.is_on_its_texts(Run(self.place(name)).manifest())]
        return [self.measured(name, len(ours) - place) for place, name in enumerate(ours, 1)]

    def measured(self, name: str, waiting: int) -> MeasuredCheckpoint:
        """A checkpoint whose run is finished; `waiting` more are ready now."""
        run = Run(self.place(name))
        rows = tuple({"checkpoint": name, "step": step_in_name(name), **row} for row in run.summary_rows())
        return MeasuredCheckpoint(name, run, rows, waiting)

    def write_table(self) -> None:
        """Writes the table of the finished runs, if there are any.

        Raises:
            StorageError: it could not be written.
        """
        with self.folder.locked():  # another process may watch with us
            rows = [row for one in self.finished() for row in one.rows]
            if rows:
                write_text(self.folder.path / "table.csv", to_csv(whole_table(rows)))
                write_text(self.folder.path / "table.md", to_markdown(checkpoints_table(rows)))

    def discard_if_stale(self, name: str, reference: str) -> bool:
        """Removes what an evaluation left unfinished of files that are others by now: nothing can complete it.

        Args:
            name: of the checkpoint, which is not finished.
            reference: of its model.
        """
        place = self.place(name)
        if not (place / MANIFEST).exists():
            return False
        if self.is_on_its_texts(read_manifest(place)) and self.has_weights_of(name, reference):
            return False
        shutil.rmtree(place)
        return True

    def has_weights_of(self, name: str, reference: str) -> bool:
        """Whether a checkpoint's run was begun with the weights that a model has now."""
        (model,) = read_manifest(self.place(name))["identity"]["models"]
        now = digests_by_name(weight_files(parse_model_reference(reference)))
        return bool(model["parts"].get("weights", {}) == now)

    def is_on_its_texts(self, manifest: dict[str, Any]) -> bool:
        """Whether a run was measured on the texts that this watch was begun with."""
        ours = read_manifest(self.folder.path)["identity"]["data"]
        return bool(manifest["identity"].get("data") == ours)


def _step(name: str) -> tuple[int, str]:
    return step_in_name(name) or 0, name
