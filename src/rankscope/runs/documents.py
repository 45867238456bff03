"""Checks that a run's files contain everything readers need; an error names the file and the key in one line.

Only the parts that are read are checked. Additional keys and columns are accepted, as other versions may write them.
"""

from __future__ import annotations

from typing import Any

import polars as pl

from rankscope.errors import RunFolderError
from rankscope.metrics import metric_names
from rankscope.runs.manifest import MANIFEST, SCHEMA, session_file
from rankscope.runs.storage import Storage

_NUMBER = (int, float, type(None))
_TEXT_OR_NONE = (str, type(None))

MANIFEST_SHAPE: dict[str, Any] = {
    "identity": {
        "settings": {},
        "models": [{"reference": str, "fingerprint": str}],
        "data": [{"name": str, "fingerprint": str}],
    },
    "sessions": [{}],
}
_EVALUATION = {"settings": {"protocol": str}, "models": [{"reference": str, "dropout": (int, float)}]}
_SESSION = {"started": _TEXT_OR_NONE, "sources": [str], "data": [str], "versions": {}}
_NOTE = {"name": str, "text": str, "rows": [str], "numbers": {}}
_ROW: dict[str, Any] = {"model": str, "dataset": str, "texts": int, "skipped": int}
_OF_TEXTS = {
    "layer": str,
    "tokens": int,
    **dict.fromkeys(("hidden_size", "effective_rank", "loss"), _NUMBER),
}
_OF_PAIRS = {"control": str, **{f"erank{place}": _NUMBER for place in range(1, 6)}}

_KEYS = ("model", "dataset", "text_index", "text_id", "status")
_NUMERIC = (
    "texts", "skipped", "tokens", "hidden_size", "perplexity", "untrained", "diff_erank", "reduced_loss", "erank",
    "image_", "parameters",
)  # fmt: skip
"""Prefixes of the names of a summary's numeric values, in addition to the names of metrics."""


def check_manifest(manifest: Any, storage: Storage) -> None:
    """Rejects a manifest or session that lacks a required value.

    Args:
        manifest: The manifest, with its sessions.
        storage: The run's folder.

    Raises:
        RunFolderError: a value is missing or has the wrong type; the message names it.
    """
    file = storage.called(MANIFEST)
    _require(manifest, MANIFEST_SHAPE, file)
    identity = manifest["identity"]
    if identity.get("kind", "evaluation") == "evaluation":
        _require(identity, _EVALUATION, file, "identity")
    for place, session in enumerate(manifest["sessions"]):
        given = {name: shape for name, shape in _SESSION.items() if name in session}
        if manifest["schema"] == SCHEMA:
            _require(session, given, storage.called(session_file(session["id"])))
        else:
            _require(session, given, file, f"sessions[{place}]")


def check_summary(summary: Any, kind: str, file: str) -> None:
    """Rejects a summary that lacks a required value.

    Raises:
        RunFolderError: a value is missing or has the wrong type; the message names it.
    """
    _require(summary, {"rows": [_ROW | (_OF_PAIRS if kind == "alignment" else _OF_TEXTS)]}, file)
    for place, row in enumerate(summary["rows"]):
        numbers = {name: _NUMBER for name in row if name.startswith((*metric_names(), *_NUMERIC))}
        _require(row, numbers, file, f"rows[{place}]")
    if "notes" in summary:
        _require(summary, {"notes": [_NOTE]}, file)
        for place, note in enumerate(summary["notes"]):
            _require(note["numbers"], dict.fromkeys(note["numbers"], _NUMBER), file, f"notes[{place}].numbers")


def check_measurements(rows: pl.DataFrame, manifest: Any, folder: str) -> None:
    """Rejects measurements that cannot be assigned to a text, model or data set.

    Raises:
        RunFolderError: a required column has empty values, or a data set is not in the manifest.
    """
    alignment = manifest["identity"].get("kind") == "alignment"
    usable = rows.filter(pl.col("status") == "ok")
    needed = (*_KEYS, "control") if alignment else (*_KEYS, "layer", "role", "n_tokens")
    for name in needed:
        if rows[name].null_count():
            raise _damaged(folder, f"the column {name} has empty values")
    if not alignment and usable["hidden_size"].null_count():
        raise _damaged(folder, "the column hidden_size has empty values")
    known = {entry["name"] for entry in manifest["identity"]["data"]}
    if unknown := set(rows["dataset"]) - known:
        raise _damaged(folder, f"the data set {sorted(unknown)[0]!r} is not in the manifest")


def _require(content: Any, shape: Any, file: str, place: str = "") -> None:
    if found := _misfit(content, shape, place):
        raise _damaged(file, found)


def _damaged(file: str, what: str) -> RunFolderError:
    return RunFolderError(f"{file} is damaged or was written by another version: {what}. Restore it or measure again")


def _misfit(content: Any, shape: Any, place: str) -> str | None:
    """Describes the first value that is missing or has the wrong type; None if everything fits.

    Args:
        content: The value to check.
        shape: A type or a tuple of types; a dictionary with the shapes of required keys; or a list with the shape of
            every item.
        place: The path of `content` in the file, such as `rows[0].model`.
    """
    if isinstance(shape, dict):
        return _misfit_of_object(content, shape, place)
    if isinstance(shape, list):
        if not isinstance(content, list):
            return f"{place} is not a list"
        found = [_misfit(item, shape[0], f"{place}[{number}]") for number, item in enumerate(content)]
        return next((words for words in found if words), None)
    # bool is a subclass of int in Python, but not a number here.
    fits = isinstance(content, shape) and not isinstance(content, bool)
    return None if fits else f"{place} is {str(content)[:40]!r}"


def _misfit_of_object(content: Any, shape: dict[str, Any], place: str) -> str | None:
    if not isinstance(content, dict):
        return f"{place or 'it'} is not an object"
    for name, inner in shape.items():
        inside = f"{place}.{name}" if place else name
        if name not in content:
            return f"{inside} is missing"
        if found := _misfit(content[name], inner, inside):
            return found
    return None
