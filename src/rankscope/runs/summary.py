"""The summary of a run with complete measurements, computed from its folder alone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from itertools import product
from pathlib import PurePosixPath
from typing import Any

from rankscope.errors import RunFolderError
from rankscope.runs.addresses import Place
from rankscope.runs.folder import READINGS, SUMMARY, RunFolder
from rankscope.runs.identity import several_versions
from rankscope.runs.manifest import kind_of_run, read_manifest
from rankscope.runs.measurements import read_each_model, read_measurements
from rankscope.runs.storage import Storage, storage_of
from rankscope.statistics import (
    Facts,
    ReadingFacts,
    Summary,
    notes_on,
    summarize,
    summarize_alignment,
    with_initializers,
)

INTEGRATION = "integration"
"""The folder with the integration rates of an alignment, one file per unit."""
_SIZE = ("family", "parameters")
_INITIALIZER = ("initializer_range", "initializer_source")


def summarise(place: Storage | Place) -> dict[str, Any]:
    """The content of `summary.json`, computed from a run's measurements.

    Raises:
        RunFolderError: measurements or integration rates are missing or damaged.
    """
    storage = storage_of(place)
    manifest = read_manifest(storage)
    if kind_of_run(manifest["identity"]) == "alignment":
        return {"schema": 1, "rows": _alignment_rows(storage, manifest), "notes": []}
    identity = manifest["identity"]
    measured = [row for measurements in read_each_model(storage) for row in summarize(measurements)]
    _refuse_foreign(storage, identity, measured)
    sized = [row | _size(identity, str(row["model"])) for row in measured]
    rows = _in_order(identity, with_initializers(sized, _initializers(identity)))
    notes = [asdict(note) | {"rows": list(note.rows)} for note in notes_on(rows, facts_of(storage, manifest))]
    return {"schema": 1, "rows": rows, "notes": notes}


def write_summary(folder: RunFolder) -> None:
    """Writes `summary.json`; all measurements must exist.

    Raises:
        RunFolderError: measurements or integration rates are missing or damaged.
        StorageError: the file could not be written.
    """
    content = summarise(folder.storage)
    with folder.locked():
        folder.write_json(SUMMARY, content)


def facts_of(storage: Storage, manifest: Mapping[str, Any]) -> Facts:
    """Facts about a run that notes depend on, in addition to the numbers."""
    identity = manifest["identity"]
    dropout = {model["reference"]: model["dropout"] for model in identity["models"]}
    return Facts(identity["settings"]["protocol"], dropout, _readings(storage), several_versions(manifest))


def read_rates(storage: Storage, unit: str) -> dict[str, float | None]:
    """The existing integration rates of a unit, by control.

    Raises:
        RunFolderError: the file is damaged.
    """
    name = rates_file(unit)
    content = storage.read(name)
    try:
        rates: dict[str, float | None] = {} if content is None else json.loads(content)
    except ValueError as error:
        raise RunFolderError(f"{storage.called(name)} is not JSON: {error}") from error
    return rates


def rates_file(unit: str) -> str:
    """The name of the file with a unit's integration rates."""
    return f"{INTEGRATION}/{unit}.json"


def _readings(storage: Storage) -> dict[str, ReadingFacts]:
    """How each model's network reads texts, by model."""
    found: dict[str, ReadingFacts] = {}
    names = [name for name in storage.names(READINGS) if PurePosixPath(name).suffix == ".json"]
    for name, document in zip(names, storage.read_each(names), strict=True):
        try:
            content = json.loads(document or b"")
            found[content["model"]] = ReadingFacts(content["causal"], content["padding_fault"], content["streams"])
        except (ValueError, KeyError, TypeError) as error:
            raise RunFolderError(
                f"{storage.called(name)} is damaged ({error}): remove it and run the command again"
            ) from error
    return found


def _size(identity: Mapping[str, Any], model: str) -> Summary:
    """A model's family and number of parameters, if its manifest entry has them."""
    entry = next(one for one in identity["models"] if one["reference"] == model)
    return {name: entry[name] for name in _SIZE if name in entry}


def _initializers(identity: Mapping[str, Any]) -> dict[str, dict[str, float | str | None]]:
    """The summary's entries about the initialisation of each model's twins, by model reference."""
    return {
        model["reference"]: {key: model[key] for key in _INITIALIZER}
        for model in identity["models"]
        if _INITIALIZER[0] in model
    }


def _in_order(identity: Mapping[str, Any], rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Sorts rows by model and data set, in the order in which these were given."""
    models = [model["reference"] for model in identity["models"]]
    names = [data["name"] for data in identity["data"]]
    return sorted(rows, key=lambda row: (models.index(row["model"]), names.index(row["dataset"])))


def _refuse_foreign(storage: Storage, identity: Mapping[str, Any], rows: list[dict[str, Any]]) -> None:
    """Refuses measurements of a model or data set that the manifest does not name."""
    models = {model["reference"] for model in identity["models"]}
    names = {data["name"] for data in identity["data"]}
    for row in rows:
        if row["model"] not in models or row["dataset"] not in names:
            raise RunFolderError(
                f"{storage.place} has measurements of {row['model']!r} on {row['dataset']!r}, which its manifest does "
                "not name: it was mixed with another run or changed by hand. Measure it again in a new folder"
            )


def _alignment_rows(storage: Storage, manifest: Mapping[str, Any]) -> list[dict[str, Any]]:
    rows = summarize_alignment(read_measurements(storage))
    identity, rates = manifest["identity"], {}
    _refuse_foreign(storage, identity, rows)
    pairs = product(identity["models"], identity["data"])
    for (model, data), unit in zip(pairs, manifest["all_units"], strict=True):
        rates[model["reference"], data["name"]] = read_rates(storage, unit)
    for row in rows:
        of_unit = rates[str(row["model"]), str(row["dataset"])]
        if row["control"] not in of_unit:
            raise RunFolderError(
                f"{storage.place} contains all pairs, but not the integration rate of {row['model']} on "
                f"{row['dataset']}, {row['control']}: run its align command with --output {storage.place} to measure it"
            )
        row["modality_integration_rate"] = of_unit[str(row["control"])]
    return rows
