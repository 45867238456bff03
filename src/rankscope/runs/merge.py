"""`merge`: joins the folders of a run's shards into one finished run.

All parts are checked before anything is written. An interrupted merge resumes when it is called again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import reduce
from typing import TYPE_CHECKING, Any

import polars as pl

from rankscope.errors import RunFolderError, SettingsError
from rankscope.runs.addresses import Place, child
from rankscope.runs.folder import READINGS, open_run_folder
from rankscope.runs.identity import first_difference
from rankscope.runs.inventory import take_inventory
from rankscope.runs.manifest import MANIFEST, SCHEMA, SESSIONS, UNITS
from rankscope.runs.measurements import files_by_unit, read_file
from rankscope.runs.progress import Progress, Silent
from rankscope.runs.run import Run
from rankscope.runs.storage import Storage, storage_of
from rankscope.runs.summary import INTEGRATION, write_summary

if TYPE_CHECKING:
    from rankscope.runs.folder import RunFolder


def merge(runs: Sequence[Place], output: Place, progress: Progress | None = None) -> Run:
    """Joins the parts of a run and summarises it, with the same numbers as a single process.

    A batch that exists in several folders with the same numbers counts once and is reported.

    Args:
        runs: Folders or addresses with parts of one run.
        output: The folder of the complete run: a new folder, or one of `runs`.
        progress: Receives progress.

    Raises:
        SettingsError: no run was given.
        RunFolderError: parts are missing, belong to different runs, or contain different numbers for the same batch;
            nothing has been written. Also raised if an alignment has all pairs but lacks its integration rates.
        StorageError: the output could not be written.
    """
    progress = progress or Silent()
    if not runs:
        raise SettingsError("merge needs at least one run folder")
    parts = [storage_of(place) for place in dict.fromkeys(map(child, runs))]
    target = storage_of(child(output))
    given = len(parts)
    if target.place not in [part.place for part in parts] and target.exists(MANIFEST):
        parts.append(target)  # resume an interrupted merge
    first, *others = [Run(part.place).manifest() for part in parts]
    for part, manifest in zip(parts, [first, *others], strict=True):
        _refuse_foreign(part, manifest, parts[0], first)
    whole = reduce(lambda one, other: one | other, map(take_inventory, parts))
    if not whole.is_complete:
        places = " and ".join(str(part.place) for part in parts[:3]) + (" ..." if len(parts) > 3 else "")
        raise RunFolderError(
            f"{places} {'is' if len(parts) == 1 else 'are'} not a complete run: {whole.in_words()}. Measure what is "
            "missing with --shard, or with the run's command and --output "
            f"{parts[0].place}, then merge again"
        )
    progress.say(_doubles_in_words(parts[:given], _refuse_different_doubles(parts)))
    folder = open_run_folder(child(output), first["identity"], progress.say, first["all_units"])
    for part in parts:
        _copy(part, folder.storage)
    _finish(folder)
    progress.say(f"{folder.place} contains the complete run")
    return Run(folder.place)


def _refuse_foreign(part: Storage, manifest: dict[str, Any], first: Storage, of_first: dict[str, Any]) -> None:
    """Rejects a part of another run, or one whose units were measured on other tokens or in another way."""
    if manifest["schema"] != SCHEMA:
        raise RunFolderError(f"{part.place} was made by an earlier version of rankscope without shards")
    if found := first_difference(of_first["identity"], manifest["identity"]):
        name, before, now = found
        raise RunFolderError(f"{part.place} and {first.place} belong to different runs: {name} is {now} and {before}")
    for unit, record in manifest["units"].items():
        if unit in of_first["units"] and of_first["units"][unit] != record:
            raise RunFolderError(
                f"{part.place}: {unit} was measured on other tokens or in another way than in {first.place}. Were the "
                "shards measured with different versions? Remove one of them and measure it again"
            )
        of_first["units"].setdefault(unit, record)


def _refuse_different_doubles(parts: Sequence[Storage]) -> list[tuple[str, list[Storage]]]:
    """The batches and units that exist in several parts, all with the same numbers."""
    holders: dict[str, list[Storage]] = defaultdict(list)
    finished: dict[str, tuple[str, Storage]] = {}
    batches: list[tuple[str, str, Storage]] = []
    for part in parts:
        whole, pieces = files_by_unit(part)
        for unit, name in whole.items():
            finished.setdefault(unit, (name, part))
            holders[name].append(part)
        for unit, names in pieces.items():
            for name in names:
                holders[name].append(part)
                batches.append((unit, name, part))
    doubles = [(name, held) for name, held in holders.items() if len(held) > 1]
    for name, (one, *others) in doubles:
        for other in others:
            if not read_file(one, name).equals(read_file(other, name)):
                raise _different(name, one, other)
    for unit, name, part in batches:
        if unit in finished and finished[unit][1].place != part.place:
            whole_name, holder = finished[unit]
            if not _holds(read_file(holder, whole_name), read_file(part, name)):
                raise _different(name, holder, part)
            doubles.append((name, [holder, part]))
    return doubles


def _different(name: str, one: Storage, other: Storage) -> RunFolderError:
    return RunFolderError(
        f"{one.place} and {other.place} contain different numbers for {name}. Were they measured with different "
        "versions or hardware? Remove one of them and measure what is then missing"
    )


def _doubles_in_words(given: Sequence[Storage], doubles: Iterable[tuple[str, list[Storage]]]) -> str:
    """A message about files that exist in several of the given folders."""
    places = {part.place for part in given}
    twice = [name for name, held in doubles if len([part for part in held if part.place in places]) > 1]
    if not twice:
        return f"{len(places):,} {'folder holds' if len(places) == 1 else 'folders hold'} all batches, each once"
    if len(twice) == 1:
        return f"{twice[0]} is in several folders with the same numbers, and counts once"
    return f"{len(twice):,} files are in several folders with the same numbers, and count once ({twice[0]} ...)"


def _holds(whole: pl.DataFrame, batch: pl.DataFrame) -> bool:
    """Whether a unit's measurements contain those of a batch."""
    of_batch = whole.filter(pl.col("text_index").is_in(batch["text_index"].unique().to_list()))
    keys = [name for name in ("text_index", "layer", "control") if name in batch.columns]
    return of_batch.sort(keys).equals(batch.sort(keys))


def _copy(part: Storage, target: Storage) -> None:
    """Copies the files that are missing in the target, except batches of units that it has in full."""
    if part.place == target.place:
        return
    there = set(target.names(""))
    finished, _ = files_by_unit(target)
    for folder in (UNITS, SESSIONS, READINGS, INTEGRATION):
        _copy_files(part, target, [name for name in part.names(folder) if name not in there])
    whole, batches = files_by_unit(part)
    wanted = [*whole.values(), *(name for unit, names in batches.items() if unit not in finished for name in names)]
    _copy_files(part, target, [name for name in wanted if name not in there])


def _copy_files(part: Storage, target: Storage, names: Sequence[str]) -> None:
    for name, content in zip(names, part.read_each(names), strict=True):
        if content is not None:
            target.write(name, content)


def _finish(folder: RunFolder) -> None:
    """Joins the batches of units that are not yet joined, and writes the summary."""
    for unit, record in take_inventory(folder.storage).to_join.items():
        with folder.claim(unit, wait=True):
            folder.finish_unit(unit, record)
    write_summary(folder)
