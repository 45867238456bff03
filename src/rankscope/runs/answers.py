"""A model's answers to prompts, saved line by line."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rankscope.errors import RunFolderError, StorageError, first_line

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rankscope.measuring import Row
    from rankscope.runs.manifest import UnitRecord


@dataclass(frozen=True)
class Answers:
    """A JSON Lines file of answers.

    Attributes:
        file: The file.
        ids: Ids of the prompts, in order.
        order: Empty, since each prompt has one row.
        column: Name of the column with the prompt's id.
    """

    file: Path
    ids: tuple[str, ...]
    order: tuple[str, ...] = ()
    column: str = "id"

    def rows(self) -> dict[str, Mapping[str, Any]]:
        """The existing rows by id, without a partial last line left by a killed process.

        Raises:
            RunFolderError: a line is not an answer.
        """
        if not self.file.exists():
            return {}
        *lines, _half = self.file.read_bytes().split(b"\n")
        rows: dict[str, Mapping[str, Any]] = {}
        for number, line in enumerate(lines, start=1):
            try:
                row = json.loads(line)
                rows[str(row["id"])] = row
            except (ValueError, KeyError, TypeError) as error:
                raise RunFolderError(
                    f"{self.file}, line {number} is damaged ({first_line(error)}): remove the line and repeat the "
                    "command"
                ) from error
        return rows

    def is_finished(self) -> bool:
        """Whether all prompts have been answered."""
        return self.rows().keys() >= set(self.ids)

    def batches(self) -> set[int]:
        """Indices of the prompts that have been answered."""
        there = self.rows()
        return {place for place, prompt in enumerate(self.ids) if prompt in there}

    def drop_half_a_line(self) -> None:
        """Removes a partial last line left by a killed process; called before more lines are appended."""
        if self.file.exists():
            with self.file.open("rb+") as content:
                content.truncate(content.read().rfind(b"\n") + 1)

    def keep(self, _number: int, rows: list[Row]) -> None:
        """Appends a prompt's line and flushes it to disk.

        Raises:
            StorageError: the line could not be written.
        """
        try:
            with self.file.open("ab") as lines:
                for row in rows:
                    lines.write(json.dumps(row).encode() + b"\n")
                lines.flush()
                os.fsync(lines.fileno())
        except OSError as error:
            raise StorageError(
                f"could not write {self.file}: {error.strerror or error}. Finished work is saved: free space, then "
                "run the same command again"
            ) from error

    def finish(self, _record: UnitRecord) -> None:
        """Does nothing: the file is already complete."""
