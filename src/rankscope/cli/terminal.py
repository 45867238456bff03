"""What commands share: progress on standard error, and other libraries kept quiet."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rankscope.runs import Progress


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
    """Other libraries' advice would drown ours, and their bars fill a log; errors still come through."""
    if not sys.stderr.isatty():
        os.environ.setdefault("TQDM_DISABLE", "1")
    import datasets
    import huggingface_hub
    import transformers

    warnings.simplefilter("ignore")
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    datasets.disable_progress_bars()
    huggingface_hub.logging.set_verbosity_error()  # a retry a second where there is no network
