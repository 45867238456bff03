"""Reading weight files into the page cache while another network runs."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from rankscope.models.weight_files import weight_files

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rankscope.models.reference import ModelReference

_WEIGHTS = ("*.safetensors", "*.bin")


def files_of(reference: ModelReference) -> tuple[Path, ...]:
    """A model's weight files on this machine; of a hub model, those in the hub's cache.

    Raises:
        ModelError: as for `weight_files`.
    """
    if reference.kind == "folder":
        return weight_files(reference)
    from huggingface_hub import try_to_load_from_cache

    config = try_to_load_from_cache(reference.location, "config.json", revision=reference.revision)
    if not isinstance(config, str):
        return ()
    return tuple(sorted(file for pattern in _WEIGHTS for file in Path(config).parent.glob(pattern)))


def read_ahead(files: Sequence[Path]) -> threading.Thread | None:
    """Asks the system to read files into its page cache; returns the thread that asks.

    Nothing happens where the system has no such call, as on macOS, or if the files take more than half of the memory:
    they would push each other out.
    """
    if not hasattr(os, "posix_fadvise"):
        return None
    sizes = sum(file.stat().st_size for file in files if file.exists())
    if not 0 < sizes <= os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2:
        return None
    thread = threading.Thread(target=_ask, args=(files,), daemon=True)  # the call waits when the disk is busy
    thread.start()
    return thread


def _ask(files: Sequence[Path]) -> None:
    for path in files:
        if path.exists():
            with path.open("rb") as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_WILLNEED)
