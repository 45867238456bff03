"""What commands share: output that every terminal and pipe takes, progress, and other libraries kept quiet."""

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
    """Makes standard output and error take every character, whatever their encoding.

    A letter that an encoding lacks is written in ASCII: `->` for an arrow, else without its accent, else by its
    number. The streams have their own error handlers back afterwards.
    """
    codecs.register_error(_HANDLER, _in_ascii)
    with ExitStack() as stack:
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stack.callback(_set_errors, stream, stream.errors)
                _set_errors(stream, _HANDLER)
        yield


def print_json(content: object, stream: TextIO, *, indent: int | None = 2) -> None:
    """Prints JSON as it is where the stream takes all characters, else in ASCII; without indent on one line."""
    in_ascii = not (stream.encoding or "utf-8").lower().replace("_", "-").startswith("utf")
    text = json.dumps(content, indent=indent, allow_nan=False, ensure_ascii=False)
    if in_ascii:
        text = json.dumps(json.loads(valid_text(text)), indent=indent, allow_nan=False)
    print(valid_text(text), file=stream)


def _set_errors(stream: io.TextIOWrapper, errors: str | None) -> None:
    with suppress(OSError, ValueError):  # what is still in it cannot be written, which whoever flushed has said
        stream.reconfigure(errors=errors)


def _in_ascii(error: UnicodeError) -> tuple[str, int]:
    """An error handler of codecs: what stands for the letters that an encoding lacks, and where to go on."""
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
    """For the end of a command, when all is printed.

    Raises:
        NothingMeasuredError: no text of any model and data set could be measured.
    """
    if any(row["texts"] for row in run.summary_rows()):
        return
    skipped = run.measurements().filter(status="skipped").drop_nulls("reason")
    keys = ["model", "dataset", "text_id"]
    reasons = skipped.unique([*keys, "reason"], maintain_order=True)["reason"].value_counts(sort=True)
    told = ", ".join(f"{reason} ({count:,})" for reason, count in reasons.rows())
    raise NothingMeasuredError(f"every text was skipped, so there are no numbers: {told or 'no reason is kept'}")


@contextmanager
def progress_on_stderr() -> Iterator[Progress]:
    """A bar on a terminal, lines elsewhere."""
    from rankscope.runs import Lines, bar_on_stderr

    if sys.stderr.isatty():
        with bar_on_stderr() as bar:
            yield bar
    else:
        yield Lines(sys.stderr)


def quieten_libraries() -> None:
    """Other libraries' advice would drown ours, and their bars fill a log; errors still come through.

    On a terminal the bars of downloads stay.
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
    huggingface_hub.logging.set_verbosity_error()  # a retry a second where there is no network
