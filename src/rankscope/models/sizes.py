"""Refuses a configuration with an impossible number of blocks before anything is built."""

from __future__ import annotations

from collections.abc import Mapping

from rankscope.errors import ModelError

MOST_BLOCKS = 10_000
"""transformers creates a list entry per block, so a wrong number can take minutes and exhaust memory."""

_NAMES = ("num_hidden_layers", "num_layers", "n_layer", "n_layers", "decoder_layers", "encoder_layers")


def check_blocks(written: Mapping[str, object], name: str) -> None:
    """Checks a raw configuration, or the metadata of a GGUF file, including its sections.

    Raises:
        ModelError: more blocks than any network has.
    """
    for key, value in written.items():
        if isinstance(value, Mapping):
            check_blocks(value, name)
        elif (key in _NAMES or str(key).endswith(".block_count")) and isinstance(value, int) and value > MOST_BLOCKS:
            raise ModelError(f"{name} states {value:,} blocks ({key}): at most {MOST_BLOCKS:,} are supported")
