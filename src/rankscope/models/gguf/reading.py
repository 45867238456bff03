"""Less repeated work while transformers reads a GGUF file."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

_ONE_AT_A_TIME = threading.RLock()


@contextmanager
def read_once() -> Iterator[None]:
    """In this context, the gguf package parses each file once, and builds each table of tensor names once.

    transformers parses a file for the configuration and again for the tokenizer, and builds the table for each module
    of the network, which takes longer than reading the weights. What is shared is only read.

    The package's names are replaced for the whole process, in which one `read_once` is active at a time.
    """
    import gguf

    with _ONE_AT_A_TIME:
        reader, name_map = gguf.GGUFReader, gguf.get_tensor_name_map
        gguf.GGUFReader, gguf.get_tensor_name_map = _by_file(reader), lru_cache(maxsize=4)(name_map)
        try:
            yield
        finally:
            gguf.GGUFReader, gguf.get_tensor_name_map = reader, name_map


def _by_file(reader: Callable[..., Any]) -> Callable[..., Any]:
    """A reader that parses a file again only if it has changed."""

    @lru_cache(maxsize=1)
    def parsed(path: str, _size: int, _changed: int) -> Any:
        return reader(path)

    def read(path: Any, *mode: Any, **options: Any) -> Any:
        if mode or options:  # opened to be changed
            return reader(path, *mode, **options)
        about = Path(path).stat()
        return parsed(str(path), about.st_size, about.st_mtime_ns)

    return read
