"""The local files that a model's numbers depend on, and whether they are complete."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rankscope.errors import ModelError
from rankscope.models.adapters import ADAPTER_SETTINGS, adapter_weights
from rankscope.models.gguf import gguf_files

if TYPE_CHECKING:
    from rankscope.models.reference import ModelReference

_INDEX = ".index.json"
_WHOLE = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json")
_LONGEST_HEADER = 100_000_000
"""Limit of a safetensors header in bytes, set by the format."""


def weight_files(reference: ModelReference) -> tuple[Path, ...]:
    """All local weight files that transformers reads for a reference, and their indices; empty for a hub model.

    These are all parts of a GGUF file; or the safetensors file, or the index and the files that it names, or the
    equivalents in PyTorch's own format, in transformers' order of preference; and an adapter's settings and weights.

    Raises:
        ModelError: a part is missing, an index is damaged, or it is ambiguous which files to use.
    """
    files: tuple[Path, ...] = ()
    if reference.kind == "folder":
        folder = Path(reference.location)
        files = gguf_files(folder, reference.gguf_file) if reference.gguf_file else _files_in(folder)
    if reference.adapter is not None and reference.adapter.kind == "folder":
        folder = Path(reference.adapter.location)
        files = (*files, folder / ADAPTER_SETTINGS, *adapter_weights(folder))
    return files


def downloaded_files(reference: ModelReference) -> tuple[Path, ...]:
    """As `weight_files`, including those of a hub model that was loaded before, which are in the hub's cache."""
    if reference.kind == "folder":
        return weight_files(reference)
    from transformers.utils import cached_file

    config = cached_file(reference.location, "config.json", revision=reference.revision, local_files_only=True)
    return _files_in(Path(config).parent)


def check_weight_files(reference: ModelReference) -> None:
    """Checks that safetensors files are complete, before anything is read from them.

    Raises:
        ModelError: as for `weight_files`, or a truncated or damaged file.
    """
    for file in weight_files(reference):
        if file.suffix == ".safetensors":
            safetensors_header(file)


def safetensors_header(file: Path) -> dict[str, dict[str, Any]]:
    """The header of a safetensors file, for each tensor: `dtype`, `shape`, `data_offsets`.

    Raises:
        ModelError: the file is truncated or damaged.
    """
    size = file.stat().st_size
    with file.open("rb") as opened:
        start = opened.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
        if not 0 < length <= min(size - 8, _LONGEST_HEADER):
            raise ModelError(
                f"{file} is not a complete safetensors file: it has {size:,} bytes, its header alone needs {length:,}"
            )
        text = opened.read(length)
    try:
        header = json.loads(text)
        tensors = {name: entry for name, entry in header.items() if name != "__metadata__"}
        end = max((int(entry["data_offsets"][1]) for entry in tensors.values()), default=0)
    except (ValueError, AttributeError, TypeError, KeyError, IndexError, RecursionError) as error:
        raise ModelError(f"{file} is damaged: cannot read its safetensors header ({error})") from error
    if 8 + length + end != size:
        raise ModelError(
            f"{file} is truncated or damaged: {size:,} bytes, its header describes {8 + length + end:,}; copy it again"
        )
    return tensors


def _files_in(folder: Path) -> tuple[Path, ...]:
    there = [folder / name for name in _WHOLE if (folder / name).is_file()]
    if [file.name for file in there[:2]] == list(_WHOLE[:2]):
        raise ModelError(f"{folder} has both {_WHOLE[0]} and {_WHOLE[1]}: remove the one that should not be used")
    if not there:
        return ()
    first = there[0]
    return (first, *_listed(first)) if first.name.endswith(_INDEX) else (first,)


def _listed(index: Path) -> tuple[Path, ...]:
    """The files listed in an index."""
    try:
        names = sorted(set(json.loads(index.read_text("utf-8"))["weight_map"].values()))
        files = tuple(index.parent / name for name in names)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ModelError(f"{index} is damaged: expected a weight_map from names to files ({error})") from error
    if missing := [file.name for file in files if not file.is_file()]:
        raise ModelError(f"{index} lists {len(missing)} missing files, first {missing[0]}: copy them as well")
    if outside := [file for file in files if file.parent != index.parent]:
        raise ModelError(f"{index} lists {outside[0]}, which is not in its folder")
    return files
