"""The error family. Each message says what was expected, what was given, and what to do.

`docs/errors.md` has a section for each class. The command line prints the message on one line and exits with
`exit_status`: 2 if the call was wrong, 1 if the evaluation failed.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


_LISTED = 30
"""Number of known names listed in a message."""


def first_line(error: BaseException) -> str:
    """The first line of another library's error message, or the error's class name if the message is empty."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


class RankscopeError(Exception):
    """Base of every error that rankscope raises on purpose."""

    exit_status = 1


class CallError(RankscopeError):
    """The call was wrong: nothing was measured, and the same call will fail again."""

    exit_status = 2


class UnknownNameError(CallError):
    """An unknown name; the message suggests close matches."""

    def __init__(self, kind: str, name: str, choices: Iterable[str]) -> None:
        known = list(choices)
        close = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
        more = f" and {len(known) - _LISTED:,} more" if len(known) > _LISTED else ""
        hint = f"did you mean {' or '.join(close)}?" if close else f"known: {', '.join(known[:_LISTED])}{more}"
        super().__init__(f"unknown {kind} {name!r}: {hint}")


class SettingsError(CallError):
    """A setting is out of range, or two settings conflict."""


class ConstantMetricError(SettingsError):
    """A metric is the same for all models or fully explained by the controls, so it has no correlation."""


class DataError(CallError):
    """The texts could not be loaded: no such file, field, split or usable text, or a malformed line."""


class ModelError(CallError):
    """The model could not be loaded: no such reference, no tokenizer, or code that needs consent."""


class RunFolderError(CallError):
    """The run folder holds a run with other settings, is in use, or cannot be written."""


class MissingExtraError(CallError):
    """An optional dependency is not installed; the message names the extra that provides it."""

    def __init__(self, extra: str, package: str) -> None:
        super().__init__(f"{package} is not installed: pip install 'rankscope[{extra}]'")


class StorageError(RankscopeError):
    """A result, or data that does not fit in memory, could not be written, for example because the disk is full."""


class NothingMeasuredError(RankscopeError):
    """Every text was skipped; the message gives the reasons."""


class RepresentationError(RankscopeError, ValueError):
    """Hidden states without a spectrum; `fault` is the short reason recorded for skipped texts."""

    def __init__(self, fault: str, message: str) -> None:
        super().__init__(message)
        self.fault = fault


class LayerError(RankscopeError):
    """A layer returned only zeros, or non-finite values; the message names the layer."""


class ForwardPassError(RankscopeError):
    """The network failed on a batch, or returned hidden states that do not match the batch's tokens."""
