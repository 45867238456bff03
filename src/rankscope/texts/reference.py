"""Where texts come from: a catalogue name, a catalogue name read from files, a file, a folder, a hub id."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from rankscope.errors import DataError, UnknownNameError
from rankscope.names import valid_text
from rankscope.texts.catalogue import CATALOGUE, CatalogueEntry, MadeSource
from rankscope.texts.files import SUFFIXES, kind_of
from rankscope.texts.hub import HubSource
from rankscope.texts.rows import Render, render_field, render_template

HUB_ID = re.compile(r"(?P<repository>[\w.-]+/[\w.-]+)(:(?P<config>[\w.-]+))?(@(?P<revision>[\w./-]+))?", re.ASCII)


@dataclass(frozen=True)
class DataReference:
    """A data reference, parsed.

    Attributes:
        name: the data set's name in results.
        source: local files, a place on the hub, or what makes the rows.
        render: from a row to its text.
        entry: the catalogue's, where the name is from there.
    """

    name: str
    source: tuple[Path, ...] | HubSource | MadeSource
    render: Render
    entry: CatalogueEntry | None = None


def parse_data_reference(
    text: str, field: str | None = None, template: str | None = None, split: str | None = None
) -> DataReference:
    """Reads `name`, `name=PATH[,PATH]`, a path, or `owner/name[:config][@revision]`.

    Raises:
        UnknownNameError: neither a path nor a catalogue name.
        DataError: a path that is not there, or no word on which field holds the text.
    """
    name, equals, paths = text.partition("=")
    if name in CATALOGUE and (equals or not Path(text).exists()):
        return _from_catalogue(name, paths, field=field, template=template, split=split)
    path = Path(text)
    if path.exists():
        return DataReference(valid_text(path.name), (path,), _render(text, field, template, _plain_field(path)))
    if equals:
        raise UnknownNameError("data set", name, CATALOGUE)
    if is_path(text):
        raise DataError(f"no such data file: {text}")
    if match := HUB_ID.fullmatch(text):
        source = HubSource(match["repository"], match["config"], split, match["revision"])
        return DataReference(text, source, _render(text, field, template, None))
    raise UnknownNameError("data set", text, CATALOGUE)


def is_path(text: str) -> bool:
    """Whether a reference can only be meant as a path, so that nobody asks the hub for `data/mistyped.jsonl`."""
    return text.startswith(("/", "./", "../", "~")) or kind_of(Path(text)) in SUFFIXES


def _from_catalogue(
    name: str, paths: str, *, field: str | None, template: str | None, split: str | None
) -> DataReference:
    given = {"--field": field, "--template": template, "--split": split}
    for option, value in given.items():
        if value is not None:
            raise DataError(
                f"{option} does not go with {name}: the catalogue says what its texts are. "
                "For other texts give the file or the hub id itself"
            )
    entry = CATALOGUE[name]
    if not paths:
        return DataReference(name, entry.source, entry.render, entry)
    if isinstance(entry.source, MadeSource):
        raise DataError(f"{name} is made on this machine and not read from files: leave ={paths} out")
    files = tuple(Path(path) for path in paths.split(","))
    for file in files:
        if not file.exists():
            raise DataError(f"no such data file: {file}")
    return DataReference(name, files, entry.render, entry)


def _plain_field(path: Path) -> str | None:
    """Lines of a text file have only one field."""
    return "text" if path.is_file() and kind_of(path) == ".txt" else None


def _render(text: str, field: str | None, template: str | None, only: str | None) -> Render:
    if template is not None:
        return render_template(template)
    if field is None and only is None:
        raise DataError(f"{text}: which field holds the text? Give --field NAME, or --template '{{a}} {{b}}'")
    return render_field(field or str(only))
