"""A run that was done: its folder, read."""

from __future__ import annotations

import html
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from rankscope.errors import RunFolderError
from rankscope.metrics.table import metrics_with_a_null
from rankscope.runs.documents import check_manifest, check_measurements, check_summary
from rankscope.runs.folder import READINGS, SUMMARY, read_measurements
from rankscope.runs.identity import several_versions
from rankscope.runs.manifest import MANIFEST, kind_of_run, read_manifest
from rankscope.statistics import Facts, Note, ReadingFacts, Summary, over_noise
from rankscope.tables import headline_table

_IDENTITY = {"settings": dict, "models": list, "data": list}


@dataclass(frozen=True)
class Run:
    """One evaluation, kept in a folder."""

    path: Path

    def _repr_html_(self) -> str:
        """How a notebook shows it: the headline table, or why there is none yet."""
        try:
            rows = self.summary_rows()
        except RunFolderError as error:
            return f"<p>{html.escape(str(error))}</p>"
        return headline_table(rows)._repr_html_()

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
        return [
            Note(note["name"], note["text"], tuple(note["rows"]), note["numbers"])
            for note in self._summary().get("notes", [])
        ]

    def measurements(self, *, ratios: bool = True) -> pl.DataFrame:
        """One row for each text x layer x role x seed, or pair x control; also of an unfinished run.

        Args:
            ratios: in an evaluation, add each metric's ratio to isotropic noise of the same shape,
                `<metric>_over_noise`.
        """
        rows = self._measured()
        if self.kind == "alignment":
            return rows
        rows = rows.drop("eigenvalues", "pooled")
        return rows.with_columns([over_noise(rows, metric) for metric in metrics_with_a_null()]) if ratios else rows

    def vectors(self) -> pl.DataFrame:
        """With `--pool`, one vector for each text x layer x role x seed: `pooled`, of the hidden size."""
        keys = ["model", "dataset", "text_index", "text_id", "layer", "role", "seed", "n_tokens", "hidden_size"]
        return self._measured().select(*keys, "pooled").drop_nulls("pooled")

    def spectra(self) -> pl.DataFrame:
        """The eigenvalues of the first texts: one row for each text x layer x role x seed x eigenvalue.

        Columns of the measurements, then `index` from 1 and `eigenvalue`, descending, of sum 1. No rows where
        no metric needed a spectrum, and for folders that were made before eigenvalues were kept.
        """
        keys = ["model", "dataset", "text_index", "text_id", "layer", "role", "seed", "n_tokens", "hidden_size"]
        rows = self._measured().select(*keys, "eigenvalues").drop_nulls("eigenvalues")
        return (
            rows.with_columns(index=pl.int_ranges(1, pl.col("eigenvalues").list.len() + 1))
            .explode("index", "eigenvalues")
            .rename({"eigenvalues": "eigenvalue"})
        )

    @property
    def kind(self) -> str:
        """`evaluation`, or `alignment` of images and texts."""
        return kind_of_run(self.manifest()["identity"])

    def manifest(self) -> dict[str, Any]:
        """What was asked for, on which versions.

        Raises:
            RunFolderError: no run of `evaluate` or `align` is there.
        """
        manifest = read_manifest(self.path)
        if not all(isinstance(manifest["identity"].get(name), kind) for name, kind in _IDENTITY.items()):
            raise RunFolderError(f"{self.path} holds no run of evaluate or align: its {MANIFEST} is of something else")
        check_manifest(manifest, self.path / MANIFEST)
        return manifest

    def facts(self) -> Facts:
        """What notes need to know beside the numbers."""
        manifest = self.manifest()
        identity = manifest["identity"]
        dropout = {model["reference"]: model["dropout"] for model in identity["models"]}
        return Facts(identity["settings"]["protocol"], dropout, self._readings(), several_versions(manifest))

    def _readings(self) -> dict[str, ReadingFacts]:
        """How each model's network reads texts, where that is out of the ordinary."""
        found: dict[str, ReadingFacts] = {}
        for file in sorted((self.path / READINGS).glob("*.json")):
            try:
                content = json.loads(file.read_text(encoding="utf-8"))
                found[content["model"]] = ReadingFacts(content["causal"], content["padding_fault"], content["streams"])
            except (ValueError, KeyError, TypeError) as error:
                raise RunFolderError(f"{file} is damaged ({error}): remove it and repeat the command") from error
        return found

    def _summary(self) -> dict[str, Any]:
        self.manifest()
        file = self.path / SUMMARY
        if not file.is_file():
            raise RunFolderError(f"the run in {self.path} is not finished: give its command again to go on")
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
        except (ValueError, RecursionError) as error:
            raise RunFolderError(f"{file} is not JSON: {error}") from error
        except OSError as error:
            raise RunFolderError(f"{file} cannot be read: {error.strerror or error}") from error
        if not isinstance(content, dict) or content.get("schema") != 1 or not isinstance(content.get("rows"), list):
            raise RunFolderError(f"{file} is not a summary of schema 1: made by another version?")
        check_summary(content, self.kind, file)
        return content

    def _measured(self) -> pl.DataFrame:
        rows = read_measurements(self.path)
        check_measurements(rows, self.manifest(), self.path / "measurements")
        return rows
