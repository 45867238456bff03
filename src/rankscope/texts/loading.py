"""From a data reference to the texts that are measured."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from pathlib import Path

from rankscope.errors import DataError, SettingsError
from rankscope.texts.catalogue import MadeSource
from rankscope.texts.files import read_files
from rankscope.texts.hub import HubRows, HubSource, read_hub
from rankscope.texts.reference import DataReference
from rankscope.texts.rows import LocatedRow, Row
from rankscope.texts.text import SkippedText, Text, TextSet

PAPER_SEED = 123
_ID_FIELDS = ("id", "_id", "uid", "qID", "uuid", "question_id", "text_id")


def load_texts(reference: DataReference, *, limit: int | None = None, sample_seed: int | None = None) -> TextSet:
    """Reads a data set's texts, in the order in which they are measured.

    Args:
        reference: which data set.
        limit: the first so many usable texts in the data set's order; with `sample_seed` so many
            at random. Left out: what the catalogue says, else all.
        sample_seed: rows are drawn by `random.Random(sample_seed).sample(range(rows), limit)`, and
            on in random order where some of those are unusable.

    Raises:
        DataError: a row without the field, a malformed line, or no usable text at all.
        SettingsError: a seed for a sample of unknown size.
    """
    rows, source = _open(reference.source)
    paper_sample = reference.entry.sample if reference.entry else None
    if sample_seed is not None:
        size = limit or paper_sample
        if size is None:
            raise SettingsError("sample-seed draws a sample: say of how many texts with --limit N")
        chosen, source = _draw(rows, size, sample_seed, spare=True), f"{source}; {size} at random, seed {sample_seed}"
    elif limit is None and paper_sample is not None:
        size = paper_sample
        chosen, source = _draw(rows, size, PAPER_SEED, spare=False), f"{source}; {size} by seed {PAPER_SEED}"
    else:
        size = limit
        chosen = enumerate(rows)
        source += f"; the first {limit}" if limit else "; all"
    texts, skipped = _collect(chosen, reference, size)
    if not texts:
        raise DataError(f"{reference.name}: no usable text in {source} ({len(skipped)} empty): an empty data set?")
    return TextSet(reference.name, source, texts, skipped)


def _open(source: tuple[Path, ...] | HubSource | MadeSource) -> tuple[Iterable[LocatedRow], str]:
    if isinstance(source, HubSource):
        return read_hub(source), str(source)
    if isinstance(source, MadeSource):
        return source.rows(), str(source)
    return read_files(source), ", ".join(str(path) for path in source)


def _draw(rows: Iterable[LocatedRow], size: int, seed: int, *, spare: bool) -> Iterator[tuple[int, LocatedRow]]:
    """Rows at random, with their numbers; all in order where a paper's sample is larger than the data."""
    table = rows if isinstance(rows, HubRows) else list(rows)
    count = len(table)
    if size >= count and not spare:
        yield from ((place, table[place]) for place in range(count))
        return
    generator = random.Random(seed)  # noqa: S311 (a sample, not a secret)
    first = generator.sample(range(count), min(size, count))
    yield from ((place, table[place]) for place in first)
    if spare:
        rest = sorted(set(range(count)).difference(first))
        generator.shuffle(rest)
        yield from ((place, table[place]) for place in rest)


def _collect(
    chosen: Iterable[tuple[int, LocatedRow]], reference: DataReference, size: int | None
) -> tuple[tuple[Text, ...], tuple[SkippedText, ...]]:
    """The first `size` usable texts; empty ones met before are skipped and counted."""
    found: list[tuple[int, str | None, str]] = []
    usable = 0
    for place, (where, row) in chosen:
        try:
            text = reference.render(row)
        except DataError as error:
            raise DataError(f"{where}: {error}") from error
        if text is None:
            continue
        found.append((place, own_id(row), text))
        usable += bool(text.strip())
        if usable == size:
            break
    ids = [own for _, own, _ in found]
    if None in ids or len(set(ids)) < len(ids):
        ids = [str(place) for place, _, _ in found]
    named = [(str(own), text) for own, (_, _, text) in zip(ids, found, strict=True)]
    return (
        tuple(Text(own, text) for own, text in named if text.strip()),
        tuple(SkippedText(own, "empty") for own, text in named if not text.strip()),
    )


def own_id(row: Row) -> str | None:
    """The data set's own id of a row, where it has one."""
    for name in _ID_FIELDS:
        value = row.get(name)
        if isinstance(value, (str, int)) and not isinstance(value, bool) and value != "":
            return str(value).encode("utf-8", "replace").decode()
    return None
