"""A run that was done: its folder, read."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from rankscope.errors import RunFolderError
from rankscope.metrics import METRICS
from rankscope.runs.store import SUMMARY, read_manifest, read_measurements
from rankscope.statistics import Facts, Note, Summary, over_noise


@dataclass(frozen=True)
class Run:
    """One evaluation, kept in a folder."""

    path: Path

    def summary(self) -> pl.DataFrame:
        """One row for each model x data set x layer."""
        return pl.DataFrame(self.summary_rows(), infer_schema_length=None)

    def summary_rows(self) -> list[Summary]:
        """The rows of `summary.json`.

        Raises:
            RunFolderError: the run is not finished, or the folder is not a run's.
        """
        rows: list[Summary] = self._summary()["rows"]
        return rows

    def notes(self) -> list[Note]:
        """What is known to mislead and shows in this run's numbers."""
        return [Note(**(note | {"rows": tuple(note["rows"])})) for note in self._summary()["notes"]]

    def measurements(self) -> pl.DataFrame:
        """One row for each text x layer x role x seed, also of a run that is not finished.

        Each metric is followed by its ratio to isotropic noise of the same shape, `<metric>_over_noise`.
        """
        rows = read_measurements(self.path)
        return rows.with_columns([over_noise(rows, metric) for metric in METRICS])

    def manifest(self) -> dict[str, Any]:
        """What was asked for, on which versions."""
        return read_manifest(self.path)

    def facts(self) -> Facts:
        """What notes need to know beside the numbers."""
        identity = self.manifest()["identity"]
        dropout = {model["reference"]: model["dropout"] for model in identity["models"]}
        return Facts(identity["settings"]["protocol"], dropout)

    def _summary(self) -> dict[str, Any]:
        read_manifest(self.path)
        file = self.path / SUMMARY
        if not file.is_file():
            raise RunFolderError(f"the run in {self.path} is not finished: give its command again to go on")
        content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        return content
