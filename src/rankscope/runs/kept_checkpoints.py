"""The results of a watch: a run for each checkpoint, and one table of all finished runs.

    manifest.json            the watched folder, with texts and settings
    checkpoints/NAME/        the run's folder for each checkpoint, as written by `evaluate`
    table.csv, table.md      the rows of all measured checkpoints

The table is rebuilt from the finished runs each time, so a watch can be killed at any moment.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rankscope.atomic import write_text
from rankscope.models import digests_by_name, order_of_checkpoint, parse_model_reference, step_in_name, weight_files
from rankscope.runs.folder import SUMMARY, RunFolder
from rankscope.runs.manifest import MANIFEST, read_manifest
from rankscope.runs.run import Run
from rankscope.tables import checkpoints_table, to_csv, to_markdown, whole_table

if TYPE_CHECKING:
    from rankscope.statistics import Summary


@dataclass(frozen=True)
class MeasuredCheckpoint:
    """A measured checkpoint.

    Attributes:
        name: Name of its folder.
        run: Its evaluation.
        rows: Rows of the run's summary, with `checkpoint` and `step` added.
        waiting: Number of further checkpoints that are ready now.
    """

    name: str
    run: Run
    rows: tuple[Summary, ...]
    waiting: int = 0


@dataclass(frozen=True)
class KeptCheckpoints:
    """The results of a watch.

    Attributes:
        folder: The folder of results.
    """

    folder: RunFolder

    @property
    def _runs(self) -> Path:
        return self.folder.path / "checkpoints"

    def place(self, name: str) -> Path:
        """The folder of a checkpoint's run."""
        return self._runs / name

    def begun(self) -> list[str]:
        """Names of the checkpoints whose evaluation has been started, finished or not."""
        return [path.name for path in self._runs.glob("*")]

    def finished(self) -> list[MeasuredCheckpoint]:
        """The measured checkpoints, sorted by step.

        Raises:
            RunFolderError: a run's folder is damaged.
        """
        names = sorted((path.parent.name for path in self._runs.glob(f"*/{SUMMARY}")), key=order_of_checkpoint)
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
            StorageError: the table could not be written.
        """
        with self.folder.locked():  # another process may watch the same folder
            rows = [row for one in self.finished() for row in one.rows]
            if rows:
                write_text(self.folder.path / "table.csv", to_csv(whole_table(rows)))
                write_text(self.folder.path / "table.md", to_markdown(checkpoints_table(rows)))

    def discard_if_stale(self, name: str, reference: str) -> bool:
        """Removes an unfinished run if its checkpoint or texts have changed; returns whether it was removed.

        Such a run cannot be completed.

        Args:
            name: Name of the checkpoint; its run must not be finished.
            reference: Its model reference.
        """
        place = self.place(name)
        if not (place / MANIFEST).exists():
            return False
        if self.is_on_its_texts(read_manifest(place)) and self.has_weights_of(name, reference):
            return False
        shutil.rmtree(place)
        return True

    def has_weights_of(self, name: str, reference: str) -> bool:
        """Whether a checkpoint's run was started with the current weights of a model."""
        (model,) = read_manifest(self.place(name))["identity"]["models"]
        now = digests_by_name(weight_files(parse_model_reference(reference)))
        return bool(model["parts"].get("weights", {}) == now)

    def is_on_its_texts(self, manifest: dict[str, Any]) -> bool:
        """Whether a run was measured on the texts with which this watch was started."""
        ours = read_manifest(self.folder.path)["identity"]["data"]
        return bool(manifest["identity"].get("data") == ours)
