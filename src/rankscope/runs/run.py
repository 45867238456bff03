"""A run that was done: its folder, read."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from rankscope.errors import RunFolderError
from rankscope.runs.store import SUMMARY, read_manifest, read_measurements
from rankscope.statistics import Summary


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
        read_manifest(self.path)
        file = self.path / SUMMARY
        if not file.is_file():
            raise RunFolderError(f"the run in {self.path} is not finished: give its command again to go on")
        rows: list[Summary] = json.loads(file.read_text(encoding="utf-8"))["rows"]
        return rows

    def measurements(self) -> pl.DataFrame:
        """One row for each text x layer x role x seed, also of a run that is not finished."""
        return read_measurements(self.path)

    def manifest(self) -> dict[str, Any]:
        """What was asked for, on which versions."""
        return read_manifest(self.path)
