"""Data references: a catalogue name, a catalogue name with local files, a file, a folder or a hub id."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rankscope.errors import DataError, UnknownNameError
from rankscope.names import valid_text
from rankscope.texts.catalogue import CATALOGUE, CatalogueEntry, MadeSource
from rankscope.texts.folders import KINDS, data_files, is_arrow_folder, suffix_of
from rankscope.texts.hub import HubSource
from rankscope.texts.rows import Render, fields_of_template, render_conversation, render_field, render_template

HUB_ID = re.compile(r"(?P<repository>[\w.-]+/[\w.-]+)(:(?P<config>[\w.-]+))?(@(?P<revision>[\w./-]+))?", re.ASCII)


@dataclass(frozen=True)
class DataReference:
    """A parsed data reference.

    Attributes:
        name: the data set's name in results.
        source: local files, a hub data set, or a generator of rows.
        render: turns a row into its text or messages.
        fields: fields that `render` reads from a row; None for any.
        entry: the catalogue entry, if the name is from the catalogue.
    """

    name: str
    source: tuple[Path, ...] | HubSource | MadeSource
    render: Render
    fields: tuple[str, ...] | None = None
    entry: CatalogueEntry | None = None


def parse_data_reference(
    text: str,
    field: str | None = None,
    template: str | None = None,
    split: str | None = None,
    *,
    chat: bool = False,
) -> DataReference:
    """Parses `name`, `name=PATH[,PATH]`, a path, or `owner/name[:config][@revision]`.

    Args:
        text: the reference.
        field: the field with the text, or with the messages.
        template: a template of the text, instead of a field.
        split: the split of a hub data set.
        chat: whether rows hold conversations.

    Raises:
        UnknownNameError: the reference is neither a path, a hub id nor a catalogue name.
        DataError: the path does not exist, no field or template was given, or options were given for a catalogue name.
    """
    name, equals, paths = text.partition("=")
    if name in CATALOGUE and (equals or not Path(text).exists()):
        given = {"--field": field, "--template": template, "--split": split, "--chat": chat or None}
        return _from_catalogue(name, paths, given)
    path = Path(text)
    if path.exists():
        return DataReference(
            valid_text(path.name), (path,), *_reading(text, field or _plain_field(path), template, chat=chat)
        )
    if equals:
        raise UnknownNameError("data set", name, CATALOGUE)
    if is_path(text):
        raise DataError(f"data file not found: {text}")
    if match := HUB_ID.fullmatch(text):
        source = HubSource(match["repository"], match["config"], split, match["revision"])
        return DataReference(text, source, *_reading(text, field, template, chat=chat))
    raise UnknownNameError("data set", text, CATALOGUE)


def is_path(text: str) -> bool:
    """Whether a reference must be a path, so that the hub is not searched for `data/mistyped.jsonl`."""
    return text.startswith(("/", "./", "../", "~")) or suffix_of(Path(text)) in KINDS


def _from_catalogue(name: str, paths: str, given: Mapping[str, object]) -> DataReference:
    for option, value in given.items():
        if value is not None:
            raise DataError(
                f"{option} cannot be combined with {name}: the catalogue defines its texts. "
                "To use other texts, give the file or the hub id"
            )
    entry = CATALOGUE[name]
    if not paths:
        return DataReference(name, entry.source, entry.render, entry=entry)
    if isinstance(entry.source, MadeSource):
        raise DataError(f"{name} is generated, not read from files: omit ={paths}")
    files = tuple(Path(path) for path in paths.split(","))
    for file in files:
        if not file.exists():
            raise DataError(f"data file not found: {file}")
    return DataReference(name, files, entry.render, entry=entry)


def _plain_field(path: Path) -> str | None:
    """The only field of plain text files, `text`; None for other files."""
    if path.is_dir():
        return "text" if not is_arrow_folder(path) and data_files(path).kind == KINDS[".txt"] else None
    return "text" if suffix_of(path) == ".txt" else None


def _reading(
    text: str, field: str | None, template: str | None, *, chat: bool
) -> tuple[Render, tuple[str, ...] | None]:
    """The function that makes texts from rows, and the fields it reads."""
    if chat:
        return render_conversation(field), None if field is None else (field,)
    if template is not None:
        return render_template(template), fields_of_template(template)
    if field is None:
        raise DataError(f"{text}: no text field: add --field NAME, --template '{{a}} {{b}}', or --chat for messages")
    return render_field(field), (field,)
