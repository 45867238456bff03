"""How much of a run is there, and what is still missing."""

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
    """The units of a run, and their batches that are there.

    Attributes:
        units: the names of all that the run consists of; empty in folders that do not say.
        finished: units that are there as a whole.
        records: of units that were begun.
        batches: that are there of the other units.
    """

    units: tuple[str, ...]
    finished: frozenset[str]
    records: Mapping[str, UnitRecord]
    batches: Mapping[str, frozenset[int]]

    def __or__(self, other: Inventory) -> Inventory:
        """Of two folders of the same run together."""
        batches = {
            unit: self.batches.get(unit, frozenset()) | other.batches.get(unit, frozenset())
            for unit in {**self.batches, **other.batches}
        }
        finished = self.finished | other.finished
        return Inventory(self.units, finished, {**self.records, **other.records}, batches)

    @property
    def not_begun(self) -> tuple[str, ...]:
        """Units of which nothing is there."""
        return tuple(
            unit
            for unit in self.units
            if unit not in self.finished and (unit not in self.records or not self.records[unit].batches)
        )

    @property
    def missing(self) -> dict[str, list[int]]:
        """The batches that are missing of units that were begun."""
        gaps = {
            unit: [n for n in range(self.records[unit].batches) if n not in self.batches.get(unit, ())]
            for unit in self.units
            if unit in self.records and unit not in self.finished
        }
        return {unit: numbers for unit, numbers in gaps.items() if numbers}

    @property
    def is_complete(self) -> bool:
        """Whether every batch is there; unknown for a folder that does not name its units."""
        return bool(self.units) and not self.not_begun and not self.missing

    @property
    def to_join(self) -> dict[str, UnitRecord]:
        """Units whose batches are all there, and not in one file yet."""
        return {
            unit: self.records[unit]
            for unit in self.units
            if unit in self.records and unit not in self.finished and unit not in self.missing
        }

    def in_words(self) -> str:
        """What is missing, with the first few names."""
        said = []
        if missing := self.missing:
            count = sum(map(len, missing.values()))
            names = [f"{unit} {number}" for unit, numbers in missing.items() for number in numbers]
            said.append(f"{count:,} {'batch is' if count == 1 else 'batches are'} missing ({_first(names)})")
        if idle := self.not_begun:
            have = "unit has" if len(idle) == 1 else "units have"
            said.append(f"{len(idle):,} {have} not been begun ({_first(idle)})")
        return " and ".join(said) or "nothing is missing"


def take_inventory(place: Storage | Place) -> Inventory:
    """Looks at a run's folder.

    Raises:
        RunFolderError: not a run's folder, or a damaged one.
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
