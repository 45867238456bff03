"""Shared by the commands: output for any terminal or pipe, progress, and quiet libraries."""

from __future__ import annotations

import codecs
import io
import json
import os
import sys
import unicodedata
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, TextIO

from rankscope.errors import NothingMeasuredError
from rankscope.names import valid_text

if TYPE_CHECKING:
    from rankscope.runs import Progress, Run

_IN_ASCII = {
    "→": "->", "←": "<-", "↔": "<->", "⇒": "=>", "↑": "^", "↓": "v", "–": "-", "—": "--", "−": "-", "‐": "-", "‑": "-",
    "…": "...", "·": "*", "•": "*", "±": "+/-", "×": "x", "≤": "<=", "≥": ">=", "≈": "~", "‘": "'", "’": "'",
    "“": '"', "”": '"', "█": "#", "▏": "|", "▎": "|", "▍": "|", "▌": "|", "▋": "#", "▊": "#", "▉": "#",
    "━": "-", "╸": "-", "╺": "-", "─": "-", "│": "|", "╭": "+", "╮": "+", "╰": "+", "╯": "+", "┌": "+", "┐": "+",
    "└": "+", "┘": "+", "├": "+", "┤": "+", "┬": "+", "┴": "+", "┼": "+", "\N{REPLACEMENT CHARACTER}": "?",
    "\N{NO-BREAK SPACE}": " ",
}  # fmt: skip
_HANDLER = "rankscope-in-ascii"


@contextmanager
def streams_for_any_text() -> Iterator[None]:
    """Makes standard output and error accept every character, whatever their encoding.

    A character that an encoding lacks is replaced with ASCII: `->` for an arrow, otherwise the letter without its
    accent, otherwise its code point. The streams get their own error handlers back on exit.
    """
    codecs.register_error(_HANDLER, _in_ascii)
    with ExitStack() as stack:
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stack.callback(_set_errors, stream, stream.errors)
                _set_errors(stream, _HANDLER)
        yield


def print_json(content: object, stream: TextIO, *, indent: int | None = 2) -> None:
    """Prints JSON, in ASCII if the stream is not UTF; on one line if `indent` is None."""
    in_ascii = not (stream.encoding or "utf-8").lower().replace("_", "-").startswith("utf")
    text = json.dumps(content, indent=indent, allow_nan=False, ensure_ascii=False)
    if in_ascii:
        text = json.dumps(json.loads(valid_text(text)), indent=indent, allow_nan=False)
    print(valid_text(text), file=stream)


def _set_errors(stream: io.TextIOWrapper, errors: str | None) -> None:
    with suppress(OSError, ValueError):  # unwritable buffered output has been reported by the code that flushed it
        stream.reconfigure(errors=errors)


def _in_ascii(error: UnicodeError) -> tuple[str, int]:
    """A codec error handler: the replacement for characters that an encoding lacks, and where to continue."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(_letter_in_ascii, error.object[error.start : error.end])), error.end


def _letter_in_ascii(letter: str) -> str:
    if letter in _IN_ASCII:
        return _IN_ASCII[letter]
    if valid_text(letter) != letter:
        return "?"
    plain = unicodedata.normalize("NFKD", letter).encode("ascii", "ignore").decode()
    return plain or letter.encode("ascii", "backslashreplace").decode()


def fail_where_nothing_was_measured(run: Run) -> None:
    """Raises an error if a run has no measured text; called after everything is printed.

    Raises:
        NothingMeasuredError: no text of any model and data set was measured.
    """
    if any(row["texts"] for row in run.summary_rows()):
        return
    skipped = run.measurements().filter(status="skipped").drop_nulls("reason")
    keys = ["model", "dataset", "text_id"]
    reasons = skipped.unique([*keys, "reason"], maintain_order=True)["reason"].value_counts(sort=True)
    told = ", ".join(f"{reason} ({count:,})" for reason, count in reasons.rows())
    raise NothingMeasuredError(f"every text was skipped, so there are no results: {told or 'no reason recorded'}")


@contextmanager
def progress_on_stderr() -> Iterator[Progress]:
    """A progress bar on a terminal, lines elsewhere."""
    from rankscope.runs import Lines, bar_on_stderr

    if sys.stderr.isatty():
        with bar_on_stderr() as bar:
            yield bar
    else:
        yield Lines(sys.stderr)


def quieten_libraries() -> None:
    """Silences other libraries' advice, and their progress bars in logs; errors still come through.

    On a terminal, download progress bars stay.
    """
    if not sys.stderr.isatty():
        os.environ.setdefault("TQDM_DISABLE", "1")
    import datasets
    import huggingface_hub
    import transformers

    warnings.simplefilter("ignore")
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()  # and those of downloads with it
    if sys.stderr.isatty():
        huggingface_hub.utils.enable_progress_bars()
    datasets.disable_progress_bars()
    huggingface_hub.logging.set_verbosity_error()  # it logs a retry every second when offline
