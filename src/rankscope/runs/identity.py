"""The identity of a run: entries of models and units in its folder, and messages about differences.

A manifest contains the `identity` of the run, which is compared as a whole when the folder is opened again. For each
unit that has been started, a file contains two digests: of the token ids that the network sees, and of everything that
determines the unit's numbers.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rankscope.errors import RunFolderError
from rankscope.runs.manifest import SCHEMA, UnitRecord, read_manifest, unit_file
from rankscope.runs.session import sessions_that_measured, versions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rankscope.models import FingerprintParts
    from rankscope.runs.addresses import Place
    from rankscope.runs.storage import Storage

_PARTS = {
    "configuration": "another configuration",
    "weights": "other weights",
    "tokenizer": "another tokenizer",
    "code": "other modelling code",
    "image_processor": "another image processor",
    "chat_template": "another chat template",
    "generation": "another generation configuration",
}
_MODELS = ("models", "model", "baselines")
_DATA = {"data": "texts", "prompts": "prompts"}
_MAKE_NUMBERS = ("rankscope", "torch", "transformers", "tokenizers")
_CHOOSE = "Choose another --output"


def model_entry(reference: str, revision: str | None, parts: FingerprintParts, **more: str | None) -> dict[str, Any]:
    """A model's entry in a manifest: its fingerprint, and the digests from which it is made, to report what changed.

    Args:
        reference: The reference as given by the user.
        revision: The commit of a hub model.
        parts: Parts of the fingerprint.
        more: Further digests by name, of parts that only some runs use, such as the chat template. None is omitted.
    """
    used = {name: digest for name, digest in more.items() if digest is not None}
    return {
        "reference": reference,
        "revision": revision,
        "fingerprint": parts.digest,
        "parts": parts.by_name | used,
    }


@dataclass(frozen=True)
class UnitKey:
    """Digests of everything that determines the numbers of a unit.

    Attributes:
        tokens: Digest of the token ids, their batches, and the skipped texts.
        everything: Digest of `tokens`, the model and all settings.
    """

    tokens: str
    everything: str


def refuse_another_unit(storage: Storage, known: UnitRecord | None, unit: str, ours: UnitRecord) -> None:
    """Checks that a unit's existing measurements were made as this call would make them.

    Args:
        storage: The run's folder.
        known: The unit's record in the folder; None if it has none.
        unit: The unit's name.
        ours: The record that this call would write.

    Raises:
        RunFolderError: the unit was measured on other token ids or in another way, or has no record.
    """
    path = storage.place
    if known is None:
        raise RunFolderError(
            f"{path} contains measurements of {unit}, but no {unit_file(unit)}: were they copied there? {_CHOOSE}"
        )
    if known.tokens != ours.tokens:
        hint = _hint(read_manifest(storage))
        raise RunFolderError(
            f"{path}: the texts of {unit} have different tokens than when they were measured{hint}. {_CHOOSE}"
        )
    if known != ours:
        hint = _hint(read_manifest(storage))
        raise RunFolderError(
            f"{path}: {unit} was measured in another way than this version would measure it{hint}. {_CHOOSE}"
        )


def difference_in_words(path: Place, manifest: Mapping[str, Any], identity: dict[str, Any]) -> str | None:
    """A sentence on why a folder's run is not the run of this call; None if it is the same run.

    Args:
        path: The folder.
        manifest: The folder's manifest.
        identity: The identity of this call's run.
    """
    there = manifest["identity"]
    # A round trip through JSON turns tuples into lists, as in the manifest.
    here: dict[str, Any] = json.loads(json.dumps(identity))
    if manifest["schema"] != SCHEMA:
        return (
            f"{path} was started by an earlier version of rankscope with a different format: "
            f"report and compare can read it, but it cannot be continued. {_CHOOSE}"
        )
    for key in [*there, *(key for key in here if key not in there)]:
        one, other = there.get(key), here.get(key)
        if key in _MODELS:
            said = _first(one, other, lambda *both: _model_difference(path, manifest, *both))
        elif key in _DATA:
            what = "pairs" if here.get("kind") == "alignment" else _DATA[key]
            said = _first(one, other, lambda *both, what=what: _data_difference(path, what, *both))
        else:
            said = None
        if said:
            return said
        if found := first_difference(one, other, key):
            name, before, now = found
            return (
                f"{path} belongs to another run: {name} is {before} there and {now} in this call. "
                f"{_CHOOSE}, or repeat that run's settings"
            )
    return None


def _first(one: Any, other: Any, compare: Any) -> str | None:
    """The first message from comparing entries pairwise; None if their numbers differ or nothing is reported."""
    ones, others = ([entry] if isinstance(entry, dict) else entry or [] for entry in (one, other))
    if len(ones) != len(others):
        return None
    return next((said for both in zip(ones, others, strict=True) if (said := compare(*both))), None)


def _model_difference(path: Place, manifest: Mapping[str, Any], there: Any, here: Any) -> str | None:
    """A sentence on how a model has changed; None if it has not, or if the entries have different references."""
    if there.get("reference") != here.get("reference"):
        return None
    name = here.get("reference")
    if there.get("revision") != here.get("revision"):
        return (
            f"{path} was measured at revision {there.get('revision')} of {name}, which is at {here.get('revision')} "
            f"now. {_CHOOSE}, or name the revision: {str(name).partition('@')[0]}@{there.get('revision')}"
        )
    before, now = there.get("parts", {}), here.get("parts", {})
    for part, called in _PARTS.items():
        if before.get(part) != now.get(part):
            which = _which_file(before.get(part), now.get(part)) or f"{called.partition(' ')[2]} has changed since"
            hint = "" if part in ("weights", "code") else _hint(manifest)
            return f"{path} was measured with {called} of {name}: {which}{hint}. {_CHOOSE}"
    return None


def _data_difference(path: Place, what: str, there: Any, here: Any) -> str | None:
    if there.get("name") != here.get("name") or there.get("fingerprint") == here.get("fingerprint"):
        return None
    return f"{path} was measured on other {what} of {here.get('name')}: they have changed since. {_CHOOSE}"


def _which_file(there: Any, here: Any) -> str | None:
    """The first file of a fingerprint part that differs, and how; None if the part is not made of files."""
    before, now = (part if isinstance(part, dict) else {} for part in (there, here))
    for name in sorted(before.keys() | now.keys()):
        if before.get(name) != now.get(name):
            became = "has changed since" if name in before and name in now else "is new" if name in now else "is gone"
            return f"{name} {became}"
    return None


def several_versions(manifest: Mapping[str, Any]) -> dict[str, list[str]]:
    """Libraries used in more than one version to measure a run, with versions in the order of sessions."""
    found: dict[str, list[str]] = {}
    for session in sessions_that_measured(manifest):
        for name in _MAKE_NUMBERS:
            if name in session.get("versions", {}):
                found.setdefault(name, []).append(session["versions"][name])
    each = {name: list(dict.fromkeys(versions_of)) for name, versions_of in found.items()}
    return {name: versions_of for name, versions_of in each.items() if len(versions_of) > 1}


def changed_versions(manifest: Mapping[str, Any]) -> str:
    """Versions in which the last session that measured differs from this process, in words; empty if in none."""
    worked = sessions_that_measured(manifest)
    before, here = worked[-1].get("versions", {}) if worked else {}, versions()
    names = [name for name in _MAKE_NUMBERS if name in before and before[name] != here[name]]
    return "; ".join(f"{name} {before[name]}, now {here[name]}" for name in names)


def _hint(manifest: Mapping[str, Any]) -> str:
    changed = changed_versions(manifest)
    return f" (the run was started with {changed})" if changed else ""


def first_difference(there: Any, here: Any, name: str = "") -> tuple[str, str, str] | None:
    """The name of the first value in which two identities differ, and both values; None if they are equal."""
    if isinstance(there, dict) and isinstance(here, dict):
        for key in [*there, *(key for key in here if key not in there)]:
            inside = f"{name}.{key}" if name and name != "settings" else str(key)
            if found := first_difference(there.get(key), here.get(key), inside):
                return found
        return None
    if isinstance(there, list) and isinstance(here, list) and len(there) == len(here):
        for place, (one, other) in enumerate(zip(there, here, strict=True)):
            if found := first_difference(one, other, f"{name}[{place}]"):
                return found
        return None
    return None if there == here else (name, _shown(there), _shown(here))


def _shown(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."
