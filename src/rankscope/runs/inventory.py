"""Inventory of a run's folder: which units and batches exist, and which are missing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rankscope.runs.addresses import Place
from rankscope.runs.manifest import UnitRecord, read_manifest, unit_file, unit_record
from rankscope.runs.measurements import batch_of, files_by_unit
from rankscope.runs.storage import Storage, storage_of

_NAMED = 3


@dataclass(frozen=True)
class Inventory:
    """The units of a run, and their existing batches.

    Attributes:
        units: Names of all units of the run; empty for older folders that do not list them.
        finished: Names of the finished units.
        records: Records of the units that have been started.
        batches: Numbers of existing batches, by unit.
    """

    units: tuple[str, ...]
    finished: frozenset[str]
    records: Mapping[str, UnitRecord]
    batches: Mapping[str, frozenset[int]]

    def __or__(self, other: Inventory) -> Inventory:
        """The combined inventory of two folders of the same run."""
        batches = {
            unit: self.batches.get(unit, frozenset()) | other.batches.get(unit, frozenset())
            for unit in {**self.batches, **other.batches}
        }
        finished = self.finished | other.finished
        return Inventory(self.units, finished, {**self.records, **other.records}, batches)

    @property
    def not_begun(self) -> tuple[str, ...]:
        """Names of units that have not been started."""
        return tuple(
            unit
            for unit in self.units
            if unit not in self.finished and (unit not in self.records or not self.records[unit].batches)
        )

    @property
    def missing(self) -> dict[str, list[int]]:
        """Numbers of missing batches, for each unfinished unit that has been started."""
        gaps = {
            unit: [n for n in range(self.records[unit].batches) if n not in self.batches.get(unit, ())]
            for unit in self.units
            if unit in self.records and unit not in self.finished
        }
        return {unit: numbers for unit, numbers in gaps.items() if numbers}

    @property
    def is_complete(self) -> bool:
        """Whether every batch exists; False if the folder does not list its units."""
        return bool(self.units) and not self.not_begun and not self.missing

    @property
    def to_join(self) -> dict[str, UnitRecord]:
        """Records of units of which all batches exist but are not joined into one file."""
        return {
            unit: self.records[unit]
            for unit in self.units
            if unit in self.records and unit not in self.finished and unit not in self.missing
        }

    def in_words(self) -> str:
        """Describes what is missing, with the first few names."""
        said = []
        if missing := self.missing:
            count = sum(map(len, missing.values()))
            names = [f"{unit} {number}" for unit, numbers in missing.items() for number in numbers]
            said.append(f"{count:,} {'batch is' if count == 1 else 'batches are'} missing ({_first(names)})")
        if idle := self.not_begun:
            have = "unit has" if len(idle) == 1 else "units have"
            said.append(f"{len(idle):,} {have} not been started ({_first(idle)})")
        return " and ".join(said) or "nothing is missing"


def take_inventory(place: Storage | Place) -> Inventory:
    """Takes the inventory of a run's folder.

    Raises:
        RunFolderError: the folder is not a run's folder, or is damaged.
    """
    storage = storage_of(place)
    manifest = read_manifest(storage)
    finished, parts = files_by_unit(storage)
    return Inventory(
        units=tuple(manifest["all_units"]),
        finished=frozenset(finished),
        records={
            unit: unit_record(document, storage.called(unit_file(unit)))
            for unit, document in manifest["units"].items()
            if manifest["all_units"]
        },
        batches={unit: frozenset(map(batch_of, names)) for unit, names in parts.items()},
    )


def _first(names: list[str] | tuple[str, ...]) -> str:
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
