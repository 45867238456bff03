"""Rows of hub data sets, through the datasets library."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rankscope.errors import DataError, first_line
from rankscope.hub import reach_hub, refusal
from rankscope.texts.columns import plain_table
from rankscope.texts.rows import LocatedRow

if TYPE_CHECKING:
    from datasets import Dataset


@dataclass(frozen=True)
class HubSource:
    """A data set on the hub.

    Attributes:
        repository: `owner/name`.
        config: the configuration, if the data set has several.
        split: the split; None if the data set has only one.
        revision: branch, tag or commit.
        folders: folders of the repository (`data_dir`), read in this order.
    """

    repository: str
    config: str | None = None
    split: str | None = None
    revision: str | None = None
    folders: tuple[str | None, ...] = (None,)

    def __str__(self) -> str:
        parts = [
            self.repository,
            f":{self.config}" if self.config else "",
            f"@{self.revision}" if self.revision else "",
        ]
        return f"{''.join(parts)}, split {self.split or 'the only one'}"


class HubRows:
    """Rows with random access: a sample of ten thousand out of millions reads only ten thousand rows."""

    def __init__(self, table: Dataset, name: str) -> None:
        self._table, self._name = table, name

    def __len__(self) -> int:
        return len(self._table)

    def __getitem__(self, place: int) -> LocatedRow:
        return LocatedRow(f"{self._name} row {place}", self._table[place])

    def __iter__(self) -> Iterator[LocatedRow]:
        return (LocatedRow(f"{self._name} row {place}", row) for place, row in enumerate(self._table))


def read_hub(source: HubSource, fields: Sequence[str] | None = None) -> HubRows:
    """Opens a data set from the cache, or downloads it.

    Images, audio and video stay in their stored form, `{"bytes", "path"}`.

    Args:
        source: the data set.
        fields: fields that are read from a row, so that other columns need not be decoded; None for any.

    Raises:
        DataError: the data set, configuration or split does not exist, is gated, or cannot be downloaded.
    """
    import datasets

    reach_hub(source.repository, "dataset", "README.md", source.revision, error=DataError)
    tables = []
    for folder in source.folders:
        try:
            table = datasets.load_dataset(
                source.repository, source.config, split=source.split, revision=source.revision, data_dir=folder
            )
        except (OSError, ValueError, RuntimeError, KeyError) as error:
            if refused := refusal(error, source.repository, "dataset", source.revision):
                raise DataError(refused) from error
            raise DataError(f"could not load data set {source}: {first_line(error)}") from error
        if isinstance(table, datasets.DatasetDict):
            if len(table) > 1:
                raise DataError(f"{source.repository} has several splits: add --split {' or '.join(table)}")
            table = next(iter(table.values()))
        tables.append(plain_table(table, fields))
    return HubRows(datasets.concatenate_datasets(tables) if len(tables) > 1 else tables[0], source.repository)
