"""Storage of a run's files: a local folder, or one in an object store.

File names are relative, with `/` as the separator. Files are written atomically.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from rankscope.atomic import UNFINISHED, create_bytes, write_bytes
from rankscope.errors import RunFolderError, SettingsError
from rankscope.runs.addresses import Place, checked_address, is_address, refuse_shortened


class Storage(Protocol):
    """A folder of files, local or remote."""

    @property
    def place(self) -> Place:
        """The folder's path or address."""

    def called(self, name: str) -> str:
        """A file's path or address, for messages."""

    def prepare(self) -> None:
        """Creates the folder, if this kind of storage needs that.

        Raises:
            RunFolderError: the folder cannot be created.
        """

    def read(self, name: str) -> bytes | None:
        """A file's content; None if there is no such file.

        Raises:
            RunFolderError: the file exists but cannot be read.
            StorageError: the store does not answer.
        """

    def read_each(self, names: Sequence[str]) -> list[bytes | None]:
        """Reads several files; contents are in the order of `names`, with None for missing files."""

    def write(self, name: str, content: bytes) -> None:
        """Writes a file, replacing an existing one.

        Raises:
            StorageError: the file could not be written.
        """

    def create(self, name: str, content: bytes) -> bool:
        """Writes a file unless it exists; returns whether it was written.

        Raises:
            StorageError: the file could not be written.
        """

    def exists(self, name: str) -> bool:
        """Whether a file exists.

        Raises:
            StorageError: the store does not answer.
        """

    def names(self, folder: str) -> list[str]:
        """Names of all files in a subfolder, at any depth, sorted.

        Raises:
            StorageError: the store does not answer.
        """

    def other_file(self, ours: Iterable[str] = ()) -> str | None:
        """The name of any entry that is not in `ours`; None if there is no other."""

    def remove(self, name: str) -> None:
        """Removes a file, or a folder with its contents; does nothing if neither exists."""

    def sweep(self, pattern: str) -> None:
        """Removes unfinished files left by killed processes, if their names match a pattern."""


@dataclass(frozen=True)
class LocalFolder:
    """A folder in a local file system.

    Attributes:
        path: The folder's path.
    """

    path: Path

    @property
    def place(self) -> Place:
        """The path."""
        return self.path

    def called(self, name: str) -> str:
        """The file's path."""
        return str(self.path / name)

    def prepare(self) -> None:
        """Creates the folder and its parents.

        Raises:
            RunFolderError: the folder cannot be created.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except (OSError, ValueError) as error:  # ValueError: a name with a null character
            raise RunFolderError(f"cannot write to {self.path}: {getattr(error, 'strerror', None) or error}") from error

    def read(self, name: str) -> bytes | None:
        """A file's content; None if there is no such file.

        Raises:
            RunFolderError: the file exists but cannot be read.
        """
        try:
            return (self.path / name).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise RunFolderError(f"{self.called(name)[:200]} cannot be read: {reason}") from error

    def read_each(self, names: Sequence[str]) -> list[bytes | None]:
        """Reads several files; contents are in the order of `names`, with None for missing files."""
        return [self.read(name) for name in names]

    def write(self, name: str, content: bytes) -> None:
        """Writes to a temporary file next to the target, then renames it.

        Raises:
            StorageError: the disk is full, or the folder cannot be written.
        """
        write_bytes(self.path / name, content)

    def create(self, name: str, content: bytes) -> bool:
        """Writes a file unless it exists; returns whether it was written.

        Raises:
            StorageError: the disk is full, or the folder cannot be written.
        """
        return create_bytes(self.path / name, content)

    def exists(self, name: str) -> bool:
        """Whether a file exists."""
        return (self.path / name).is_file()

    def names(self, folder: str) -> list[str]:
        """Names of all files in a subfolder, at any depth, sorted; unfinished files are omitted."""
        found = [
            (Path(place) / name).relative_to(self.path).as_posix()
            for place, _, names in os.walk(self.path / folder)
            for name in names
            if not name.endswith(UNFINISHED)
        ]
        return sorted(found)

    def other_file(self, ours: Iterable[str] = ()) -> str | None:
        """The name of any entry that is neither in `ours` nor unfinished; None if there is no other."""
        entries = (entry.name for entry in self.path.iterdir())
        return next((name for name in entries if name not in ours and not name.endswith(UNFINISHED)), None)

    def remove(self, name: str) -> None:
        """Removes a file, or a folder with its contents; does nothing if neither exists."""
        place = self.path / name
        if place.is_dir():
            shutil.rmtree(place, ignore_errors=True)
        else:
            place.unlink(missing_ok=True)

    def sweep(self, pattern: str) -> None:
        """Removes unfinished files left by killed processes, if their names match a pattern."""
        for unfinished in self.path.glob(f"{pattern}{UNFINISHED}"):
            unfinished.unlink(missing_ok=True)


def storage_of(place: Storage | Place) -> Storage:
    """The storage at a path or an address; a storage is returned unchanged.

    Raises:
        SettingsError: the address is not valid.
        MissingExtraError: the package for its kind of store is not installed.
    """
    if isinstance(place, Path):
        refuse_shortened(place)
        return LocalFolder(place)
    if not isinstance(place, str):
        return place
    if is_address(place):
        from rankscope.runs.object_store import ObjectStore

        return ObjectStore.at(place)
    return LocalFolder(Path(place.removeprefix("file://")))


def file_at(place: Place) -> tuple[Storage, str]:
    """The storage of a single file, and the file's name there.

    Raises:
        SettingsError: the address is not valid, or names only a bucket.
        MissingExtraError: the package for its kind of store is not installed.
    """
    if not is_address(place):
        path = Path(str(place).removeprefix("file://"))
        return LocalFolder(path.parent), path.name
    folder, _, name = checked_address(str(place)).rpartition("/")
    if not is_address(folder):
        raise SettingsError(f"{place} is a bucket: add the name of a file in it, such as {place}/report.html")
    return storage_of(folder), name


def local_path(place: Place, what: str) -> Path:
    """The path of a place that must be local.

    Args:
        place: A path or an address.
        what: What would be written there, for the message.

    Raises:
        SettingsError: it is an address.
    """
    if is_address(place):
        raise SettingsError(f"an object store cannot be used for {what}: choose a local folder")
    return Path(str(place).removeprefix("file://"))
