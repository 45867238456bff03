"""Refuses a configuration whose number of blocks no network has, before anything is built as often."""

from __future__ import annotations

from collections.abc import Mapping

from rankscope.errors import ModelError

MOST_BLOCKS = 10_000
"""Transformers makes a list entry for each block of a configuration, so a wrong number takes minutes and all memory."""

_NAMES = ("num_hidden_layers", "num_layers", "n_layer", "n_layers", "decoder_layers", "encoder_layers")


def check_blocks(written: Mapping[str, object], name: str) -> None:
    """Checks a configuration as it is written, or the metadata of a GGUF file, sections included.

    Raises:
        ModelError: more blocks than any network has.
    """
    for key, value in written.items():
        if isinstance(value, Mapping):
            check_blocks(value, name)
        elif (key in _NAMES or str(key).endswith(".block_count")) and isinstance(value, int) and value > MOST_BLOCKS:
            raise ModelError(f"{name} says that it has {value:,} blocks ({key}): at most {MOST_BLOCKS:,} can be read")
