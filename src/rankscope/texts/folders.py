"""Finds the data files of a folder."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rankscope.errors import DataError
from rankscope.texts.compression import without_compression
from rankscope.texts.text import name_some

KINDS = {
    ".jsonl": "JSON lines",
    ".ndjson": "JSON lines",
    ".json": "JSON",
    ".csv": "CSV",
    ".tsv": "TSV",
    ".parquet": "Parquet",
    ".txt": "plain text",
}
"""File types by suffix, ignoring compression suffixes."""

# Files next to data that are not data: documentation, code, or a model's tokenizer.
_NEVER_DATA = re.compile(
    r"(read[-_ ]?me|licen[cs]e|copying|notice|authors|contributors|contributing|changes|changelog|citation|security"
    r"|code[-_]of[-_]conduct|requirements|constraints|cmakelists|robots)([-_. ].*)?"
    r"|(dataset_infos?|dataset_dict|state|croissant|package|package-lock|tsconfig|pyrightconfig|composer|renovate)\.json"
    r"|(.*[-_.])?(config|metadata|manifest|schema|index)\.json"
    r"|(tokenizer|vocab|added_tokens|special_tokens_map|preprocessor)\.json|(vocab|merges|spiece)\.txt",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class FolderContent:
    """The data of a folder.

    Attributes:
        kind: the type of its data files, a value of `KINDS`.
        files: the data files, sorted by path.
        left_out: names of other files and of hidden folders, relative to the folder.
    """

    kind: str
    files: tuple[Path, ...]
    left_out: tuple[str, ...]


def suffix_of(path: Path) -> str:
    """The suffix that determines a file's type, without a compression suffix."""
    return without_compression(path).suffix.lower()


def is_arrow_folder(folder: Path) -> bool:
    """Whether a folder was written by `save_to_disk` of the datasets library."""
    info = (folder / "dataset_info.json").is_file()
    stored = (folder / "state.json").is_file() or any(folder.glob("*.arrow"))
    return (folder / "dataset_dict.json").is_file() or (info and stored)


def data_files(folder: Path) -> FolderContent:
    """The data files of a folder and its subfolders, which must be of one type.

    Ignored: hidden files and folders (names starting with `.` or `__`), files of unknown types, and files whose names
    mark them as documentation, code or metadata, such as LICENSE.txt, requirements.txt or dataset_infos.json.

    Raises:
        DataError: the folder has no data files, or files of several types.
    """
    found: list[Path] = []
    left_out: list[Path] = []
    for path in _walk(folder, {folder.resolve()}):
        is_data = path.is_file() and not _is_hidden(path) and suffix_of(path) in KINDS
        (found if is_data and not _NEVER_DATA.fullmatch(without_compression(path).name) else left_out).append(path)
    by_kind: dict[str, list[Path]] = {}
    for path in sorted(found):
        by_kind.setdefault(KINDS[suffix_of(path)], []).append(path)
    names = tuple(f"{path.relative_to(folder)}{'/' if path.is_dir() else ''}" for path in sorted(left_out))
    if not by_kind:
        ignored = f" (ignored: {name_some(names)})" if names else ""
        raise DataError(f"no data in {folder}: expected {', '.join(KINDS)} files, or an Arrow data set{ignored}")
    if len(by_kind) > 1:
        listed = " and ".join(f"{kind} ({name_some([one.name for one in some])})" for kind, some in by_kind.items())
        raise DataError(f"{folder} has several types of data: {listed}. Give a file, or a folder with one type")
    ((kind, files),) = by_kind.items()
    return FolderContent(kind, tuple(files), names)


def _walk(folder: Path, seen: set[Path]) -> Iterator[Path]:
    """Files, and folders that are not entered: hidden ones, and those reached a second time through a link."""
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise DataError(f"cannot read {folder}: {error.strerror or error}") from error
    for entry in entries:
        if not entry.is_dir() or _is_hidden(entry) or entry.resolve() in seen:
            yield entry
        else:
            seen.add(entry.resolve())
            yield from _walk(entry, seen)


def _is_hidden(path: Path) -> bool:
    return path.name.startswith((".", "__"))
