"""The answers of a model to prompts, kept line by line."""

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
    """Answers kept line by line.

    Attributes:
        file: of all answers.
        ids: of the prompts, in order.
        order: none, since a prompt has one row.
        column: that tells rows apart.
    """

    file: Path
    ids: tuple[str, ...]
    order: tuple[str, ...] = ()
    column: str = "id"

    def rows(self) -> dict[str, Mapping[str, Any]]:
        """The rows that are there, by id; what a kill left of a line is left out.

        Raises:
            RunFolderError: a line that is no answer.
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
        """Whether each prompt has its line."""
        return self.rows().keys() >= set(self.ids)

    def batches(self) -> set[int]:
        """The places of prompts that have a line."""
        there = self.rows()
        return {place for place, prompt in enumerate(self.ids) if prompt in there}

    def drop_half_a_line(self) -> None:
        """Cuts off what a kill left of a line, before another is written behind it."""
        if self.file.exists():
            with self.file.open("rb+") as content:
                content.truncate(content.read().rfind(b"\n") + 1)

    def keep(self, _number: int, rows: list[Row]) -> None:
        """Writes a prompt's line through to the disk.

        Raises:
            StorageError: it could not be written.
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
        """The file is what it is."""
