"""Loads the texts of a data reference."""

from __future__ import annotations

import random
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence

from rankscope.errors import DataError, SettingsError
from rankscope.settings import OnBadRow
from rankscope.spool import Spool
from rankscope.texts.catalogue import MadeSource
from rankscope.texts.files import scan_files
from rankscope.texts.folders import FolderContent, data_files, is_arrow_folder
from rankscope.texts.hub import HubRows, HubSource, read_hub
from rankscope.texts.reference import DataReference
from rankscope.texts.rows import BadRow, LocatedRow, own_id
from rankscope.texts.stored import Collector
from rankscope.texts.text import EMPTY, Content, SkippedText, Text, name_some
from rankscope.texts.text_set import TextSet

PAPER_SEED = 123
_REPORTED_EVERY = 1000


def load_texts(
    reference: DataReference,
    *,
    limit: int | None = None,
    sample_seed: int | None = None,
    on_bad_row: OnBadRow = "stop",
    told: Callable[[int], None] = lambda _: None,
) -> TextSet:
    """Reads a data set's texts, in measuring order.

    The data set is read once. Large sets of texts are kept in a temporary file.

    Args:
        reference: the data set.
        limit: take the first `limit` usable texts in the data set's order; with `sample_seed`, a random sample of
            that size. By default the catalogue's sample, else all texts.
        sample_seed: draw rows by `random.Random(sample_seed).sample(range(rows), limit)`; unusable ones are replaced
            from the remaining rows in random order.
        on_bad_row: whether a malformed line, or a row without the field, is an error or is skipped and counted.
        told: called every thousand rows with the number of rows read so far.

    Raises:
        DataError: a row is bad, the data cannot be read as a whole, or no text is usable.
        SettingsError: a seed was given without a sample size.
        StorageError: there is not enough space for the texts.
    """
    rows, source, left_out = _open(reference)
    paper_sample = reference.entry.sample if reference.entry else None
    if sample_seed is not None:
        size = limit or paper_sample
        if size is None:
            raise SettingsError("sample-seed needs a sample size: add --limit N")
        chosen, source = _draw(rows, size, sample_seed, spare=True), f"{source}; {size} at random, seed {sample_seed}"
    elif limit is None and paper_sample is not None:
        size = paper_sample
        chosen, source = _draw(rows, size, PAPER_SEED, spare=False), f"{source}; {size} sampled with seed {PAPER_SEED}"
    else:
        size = limit
        chosen = enumerate(rows)
        source += f"; the first {limit}" if limit else "; all"
    texts, skipped = _collect(chosen, reference, size, on_bad_row, told)
    if not texts:
        raise DataError(f"{reference.name}: no usable text in {source} ({_counted(skipped)}")
    return TextSet(reference.name, source, texts, skipped, left_out)


def _open(reference: DataReference) -> tuple[Iterable[LocatedRow | BadRow], str, tuple[str, ...]]:
    """The rows, a description of their source, and the ignored files next to them."""
    source = reference.source
    if isinstance(source, HubSource):
        return read_hub(source, reference.fields), str(source), ()
    if isinstance(source, MadeSource):
        return source.rows(), str(source), ()
    named: list[str] = []
    left_out: list[str] = []
    for path in source:
        content = data_files(path) if path.is_dir() and not is_arrow_folder(path) else None
        named.append(str(path) if content is None else f"{path} ({_described(content)})")
        left_out += content.left_out if content else ()
    return scan_files(source, reference.fields), ", ".join(named), tuple(left_out)


def _described(content: FolderContent) -> str:
    files = f"{len(content.files)} {content.kind} file{'s' if len(content.files) > 1 else ''}"
    return f"{files}; ignored: {name_some(content.left_out)}" if content.left_out else files


def _counted(skipped: Sequence[SkippedText]) -> str:
    """Counts of skipped rows and the first bad one, for the error that no text is usable."""
    bad = [one for one in skipped if one.reason != EMPTY]
    if bad:
        return f"{len(skipped) - len(bad)} empty, {len(bad)} bad, first {bad[0].id}: {bad[0].reason})"
    return f"{len(skipped)} empty): an empty data set?"


def _draw(
    rows: Iterable[LocatedRow | BadRow], size: int, seed: int, *, spare: bool
) -> Iterator[tuple[int, LocatedRow | BadRow]]:
    """Rows at random, with their numbers; all rows in order if the paper's sample is larger than the data."""
    table = rows if isinstance(rows, HubRows) else Spool(rows)
    count = len(table)
    if size >= count and not spare:
        yield from ((place, table[place]) for place in range(count))
        return
    generator = random.Random(seed)  # noqa: S311 (a sample, not a secret)
    first = generator.sample(range(count), min(size, count))
    yield from ((place, table[place]) for place in first)
    if spare:
        drawn = set(first)
        rest = array("q", (place for place in range(count) if place not in drawn))
        generator.shuffle(rest)
        yield from ((place, table[place]) for place in rest)


def _collect(
    chosen: Iterable[tuple[int, LocatedRow | BadRow]],
    reference: DataReference,
    size: int | None,
    on_bad_row: OnBadRow,
    told: Callable[[int], None],
) -> tuple[Sequence[Text], tuple[SkippedText, ...]]:
    """The first `size` usable texts; empty texts and bad rows on the way are skipped and counted."""
    found = Collector()
    for met, (place, row) in enumerate(chosen, start=1):
        if met % _REPORTED_EVERY == 0:
            told(met)
        try:
            own, content = _read(row, reference)
        except DataError as error:
            if on_bad_row == "stop":
                raise DataError(f"{row.where}: {error}") from error
            found.skip(SkippedText(row.where, str(error)))
            continue
        if content is not None:
            found.add(own, place, content)
            if found.usable == size:
                break
    return found.finish()


def _read(row: LocatedRow | BadRow, reference: DataReference) -> tuple[str | None, Content | None]:
    """A row's own id, and its content.

    Raises:
        DataError: the row is bad, or lacks the field.
    """
    if isinstance(row, BadRow):
        raise DataError(row.reason)
    return own_id(row.row), reference.render(row.row)
