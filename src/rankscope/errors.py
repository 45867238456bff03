"""One family of errors. Each says what was expected, what came, and what to do.

`docs/errors.md` has a section for each. The command line prints the message on one line and exits with
`exit_status`: 2 where the call was wrong, 1 where the evaluation failed.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


_LISTED = 30
"""So many known names fit into a message."""


def first_line(error: BaseException) -> str:
    """The first line of what another library's error says, for a message of ours; its kind where it says nothing."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


class RankscopeError(Exception):
    """Base of every error that rankscope raises on purpose."""

    exit_status = 1


class CallError(RankscopeError):
    """The call was wrong: nothing was measured, and the same call will fail again."""

    exit_status = 2


class UnknownNameError(CallError):
    """A name that is not in the list it should come from; the message offers close matches."""

    def __init__(self, kind: str, name: str, choices: Iterable[str]) -> None:
        known = list(choices)
        close = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
        more = f" and {len(known) - _LISTED:,} more" if len(known) > _LISTED else ""
        hint = f"did you mean {' or '.join(close)}?" if close else f"known: {', '.join(known[:_LISTED])}{more}"
        super().__init__(f"unknown {kind} {name!r}: {hint}")


class SettingsError(CallError):
    """A setting has a value outside its range, or two settings exclude each other."""


class ConstantMetricError(SettingsError):
    """A metric is the same for all models, or wholly explained by the controls: it correlates with nothing."""


class DataError(CallError):
    """The texts cannot be had: no such file, field, split or usable text, or a malformed line."""


class ModelError(CallError):
    """The model cannot be had: no such reference, no tokenizer, or code that needs consent."""


class RunFolderError(CallError):
    """The run folder belongs to other settings, is in use, or cannot be written."""


class MissingExtraError(CallError):
    """An optional part is not installed; the message names the extra that brings it."""

    def __init__(self, extra: str, package: str) -> None:
        super().__init__(f"{package} is not installed: pip install 'rankscope[{extra}]'")


class StorageError(RankscopeError):
    """A result, or what does not fit into memory, could not be written, for example on a full disk."""


class NothingMeasuredError(RankscopeError):
    """Every text was skipped; the message says why."""


class RepresentationError(RankscopeError, ValueError):
    """Hidden states that have no spectrum; `fault` is the short reason that skipped texts carry."""

    def __init__(self, fault: str, message: str) -> None:
        super().__init__(message)
        self.fault = fault


class LayerError(RankscopeError):
    """A layer returned only zeros, or values that are not finite; the message names the layer."""


class ForwardPassError(RankscopeError):
    """The network failed on a batch, or its hidden states are not those of the batch's tokens."""
