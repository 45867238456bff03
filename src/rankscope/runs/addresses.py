"""Addresses of object stores: recognises them, and rejects those that could contain a secret."""

from __future__ import annotations

import re
from pathlib import Path

from rankscope.errors import SettingsError

_SCHEME = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]*)://")
_SHORTENED = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]+:/[^/]")  # an address after conversion to `Path`
_QUERY = re.compile(r"\?[^\s'\"<>]*")
_USER = re.compile(r"://[^/\s@]*@")

Place = Path | str
"""The path of a local folder, or the address of a folder in an object store."""


def is_address(place: Place) -> bool:
    """Whether a place is in an object store, such as `s3://bucket/runs/mine`."""
    return isinstance(place, str) and "://" in place and not place.startswith("file://")


def checked_address(address: str) -> str:
    """Checks an address; returns it without trailing slashes and with its scheme in lower case.

    Raises:
        SettingsError: the address has no scheme or no location, or contains credentials or a query string.
    """
    match = _SCHEME.match(address)
    scheme = match.group(1) if match else ""
    if match is None:
        raise SettingsError(
            f"{_first_word(address)}...: an address has a single scheme, such as s3://BUCKET/FOLDER; chained schemes "
            "are not supported"
        )
    rest = address[match.end() :].rstrip("/")
    if "@" in rest.partition("/")[0]:
        raise SettingsError(
            f"an address {scheme}://... contains a user name or a key: remove it, and provide credentials as "
            "for the store's own tools (environment variables or its configuration file)"
        )
    if "?" in rest:
        raise SettingsError(
            f"an address {scheme}://... has a query string, which can contain a secret: use the plain address, and "
            "provide credentials as for the store's own tools"
        )
    if not rest.strip("/"):
        raise SettingsError(f"{scheme}:// has no location: use {scheme}://BUCKET/FOLDER")
    return f"{scheme.lower()}://{rest}"


def child(place: Place, *names: str) -> Place:
    """The path or address of an entry of a folder; the folder itself if no names are given."""
    if is_address(place):
        return "/".join([str(place).rstrip("/"), *names])
    return Path(str(place).removeprefix("file://")).joinpath(*names)


def refuse_shortened(path: Path) -> None:
    """Rejects a `Path` created from an address, which turns `://` into `:/`.

    Raises:
        SettingsError: the path looks like an address, and does not exist.
    """
    if _SHORTENED.match(str(path)) and not path.exists():
        scheme, _, rest = str(path).partition(":/")
        raise SettingsError(f"{path} looks like an address: pass it as text, '{scheme}://{rest}', not as a Path")


def without_secrets(message: str) -> str:
    """Removes query strings and user names, which can contain secrets, from the addresses in a store's message."""
    return _USER.sub("://", _QUERY.sub("", message))


def _first_word(address: str) -> str:
    return re.split(r"[:/@?]", address, maxsplit=1)[0][:40]
