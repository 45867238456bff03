"""A run, read from its folder."""

from __future__ import annotations

import html
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePath
from typing import Any

import polars as pl

from rankscope.errors import RunFolderError
from rankscope.metrics.table import metrics_with_a_null
from rankscope.runs.addresses import Place, child
from rankscope.runs.documents import check_manifest, check_measurements, check_summary
from rankscope.runs.folder import SUMMARY
from rankscope.runs.inventory import take_inventory
from rankscope.runs.manifest import MANIFEST, kind_of_run, read_manifest
from rankscope.runs.measurements import MEASUREMENTS, read_measurements
from rankscope.runs.storage import Storage, local_path, storage_of
from rankscope.runs.summary import facts_of, summarise
from rankscope.statistics import Facts, Note, Summary, over_noise
from rankscope.tables import headline_table

_IDENTITY = {"settings": dict, "models": list, "data": list}


@dataclass(frozen=True)
class Run:
    """One evaluation or alignment, stored in a folder.

    Attributes:
        place: The folder's path, or its address in an object store.
    """

    place: Place

    def __post_init__(self) -> None:
        object.__setattr__(self, "place", child(self.place))

    @property
    def path(self) -> Path:
        """The folder's path.

        Raises:
            SettingsError: the run is in an object store, so it has no path.
        """
        return local_path(self.place, f"this operation on {self.place}")

    @property
    def name(self) -> str:
        """The last part of the run's path or address."""
        return PurePath(str(self.place)).name

    @cached_property
    def storage(self) -> Storage:
        """Storage of the run's files.

        Raises:
            SettingsError: the address is not valid.
        """
        return storage_of(self.place)

    def _repr_html_(self) -> str:
        """Notebook display: the headline table, or the reason why the run has none."""
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

    def summary_document(self) -> dict[str, Any]:
        """The content of `summary.json`.

        Raises:
            RunFolderError: the run is not finished, or the folder is not a run's.
        """
        return self._summary()

    def notes(self) -> list[Note]:
        """Notes on known pitfalls that apply to this run's numbers."""
        return [
            Note(note["name"], note["text"], tuple(note["rows"]), note["numbers"])
            for note in self._summary().get("notes", [])
        ]

    def measurements(self, *, ratios: bool = True) -> pl.DataFrame:
        """One row for each text x layer x role x seed, or pair x control; the run may be unfinished.

        Args:
            ratios: Whether to add, in an evaluation, each metric's ratio to isotropic noise of the same shape as
                column `<metric>_over_noise`.
        """
        rows = self._measured()
        if self.kind == "alignment":
            return rows
        rows = rows.drop("eigenvalues", "pooled")
        return rows.with_columns([over_noise(rows, metric) for metric in metrics_with_a_null()]) if ratios else rows

    def vectors(self) -> pl.DataFrame:
        """The pooled vectors of a run with `--pool`: one row for each text x layer x role x seed.

        The vector is in column `pooled` and has the hidden size as its length.
        """
        keys = ["model", "dataset", "text_index", "text_id", "layer", "role", "seed", "n_tokens", "hidden_size"]
        return self._measured().select(*keys, "pooled").drop_nulls("pooled")

    def spectra(self) -> pl.DataFrame:
        """The eigenvalues of the first texts: one row for each text x layer x role x seed x eigenvalue.

        Columns are those that identify a measurement, then `index`, counted from 1, and `eigenvalue`. Eigenvalues are
        in descending order and sum to 1. Empty if no metric needed a spectrum, and for folders written before
        eigenvalues were stored.
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
        """`evaluation`, or `alignment` (of images and texts)."""
        return kind_of_run(self.manifest()["identity"])

    def manifest(self) -> dict[str, Any]:
        """The manifest: the call, its sessions and their versions.

        Raises:
            RunFolderError: the folder contains no run of `evaluate` or `align`.
        """
        manifest = read_manifest(self.storage)
        if not all(isinstance(manifest["identity"].get(name), kind) for name, kind in _IDENTITY.items()):
            raise RunFolderError(
                f"{self.place} contains no run of evaluate or align: its {MANIFEST} belongs to something else"
            )
        check_manifest(manifest, self.storage)
        return manifest

    def facts(self) -> Facts:
        """Facts about the run that notes depend on, in addition to the numbers."""
        return facts_of(self.storage, self.manifest())

    def _summary(self) -> dict[str, Any]:
        content = self.storage.read(SUMMARY)
        return self._made_of_measurements if content is None else self._read_summary(content)

    @cached_property
    def _made_of_measurements(self) -> dict[str, Any]:
        """The summary of a complete run without a `summary.json`, computed from its measurements."""
        self.manifest()
        inventory = take_inventory(self.storage)
        if not inventory.is_complete:
            missing = f": {inventory.in_words()}" if inventory.units else ""
            raise RunFolderError(
                f"the run in {self.place} is not finished{missing}. Run its command again to continue, or run the "
                "missing shards"
            )
        return summarise(self.storage)

    def _read_summary(self, document: bytes) -> dict[str, Any]:
        self.manifest()
        file = self.storage.called(SUMMARY)
        try:
            content = json.loads(document)
        except (ValueError, RecursionError) as error:
            raise RunFolderError(f"{file} is not JSON: {error}") from error
        if not isinstance(content, dict) or content.get("schema") != 1 or not isinstance(content.get("rows"), list):
            raise RunFolderError(f"{file} is not a summary of schema 1: was it written by another version?")
        check_summary(content, self.kind, file)
        return content

    def _measured(self) -> pl.DataFrame:
        rows = read_measurements(self.storage)
        check_measurements(rows, self.manifest(), self.storage.called(MEASUREMENTS))
        return rows
