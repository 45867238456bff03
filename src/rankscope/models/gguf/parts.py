"""GGUF models in several files, `NAME-00001-of-00003.gguf` and so on, as written by llama.cpp's `gguf-split`."""

from __future__ import annotations

import re
import struct
from pathlib import Path

from rankscope.errors import ModelError
from rankscope.models.gguf.header import GgufHeader, read_header

_PART = re.compile(r"(?P<name>.+)-(?P<number>\d{5})-of-(?P<count>\d{5})\.gguf")
_CHUNK = 1 << 24


def part_names(name: str) -> tuple[str, ...]:
    """The names of all parts of a model, given the name of one part; a single file is its only part."""
    match = _PART.fullmatch(name)
    if match is None:
        return (name,)
    count = int(match["count"])
    return tuple(f"{match['name']}-{number:05}-of-{match['count']}.gguf" for number in range(1, count + 1)) or (name,)


def name_without_part(name: str) -> str:
    """`small-00001-of-00003.gguf` becomes `small.gguf`; other names are unchanged."""
    match = _PART.fullmatch(name)
    return f"{match['name']}.gguf" if match else name


def gguf_files(folder: Path, name: str) -> tuple[Path, ...]:
    """All files of a model in a local folder, in order.

    Raises:
        ModelError: a part is missing.
    """
    files = tuple(folder / part for part in part_names(name))
    if missing := [file.name for file in files if not file.is_file()]:
        raise ModelError(
            f"{folder / name} is one of {len(files)} parts of a model, but {', '.join(missing)} is missing: "
            "put all parts in the same folder"
        )
    return files


def read_parts(files: tuple[Path, ...]) -> GgufHeader:
    """The header of a complete model: the first part's metadata, and the tensors of all parts.

    Raises:
        ModelError: parts of different models, or in the wrong order.
    """
    headers = check_parts(files)
    tensors = tuple(tensor for header in headers for tensor in header.tensors)
    first = headers[0]
    metadata = {key: value for key, value in first.metadata.items() if not key.startswith("split.")}
    encoded = {key: first.encoded[key] for key in metadata}
    return GgufHeader(first.path, metadata, encoded, tensors)


def check_parts(files: tuple[Path, ...]) -> list[GgufHeader]:
    """The headers of all parts.

    Raises:
        ModelError: the files are not the parts of one model in order.
    """
    headers = [read_header(file) for file in files]
    for position, header in enumerate(headers):
        stated = header.metadata.get("split.no", 0), header.metadata.get("split.count", 1) or 1
        if stated != (position, len(files)):
            raise ModelError(
                f"{header.path} states that it is part {stated[0]} (counted from 0) of {stated[1]}, but its name says "
                f"{position} of {len(files)}: name the parts NAME-00001-of-{stated[1]:05}.gguf and so on"
            )
    names = [tensor.name for header in headers for tensor in header.tensors]
    if twice := sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []:
        raise ModelError(f"{files[0]}: tensor {twice[0]} occurs twice, so the parts are from different models")
    stated_tensors = headers[0].metadata.get("split.tensors.count", len(names))
    if stated_tensors != len(names):
        raise ModelError(f"{files[0]} states {stated_tensors} tensors in all parts, but there are {len(names)}")
    return headers


def join_parts(files: tuple[Path, ...], target: Path, *, with_data: bool = True) -> None:
    """Writes the parts of a model as one file, copying the data unchanged, piece by piece.

    Args:
        files: the parts in order.
        target: the file to write.
        with_data: if False, the file has its full length but holds zeros and takes no disk space: enough to read the
            configuration and the tokenizer.

    Raises:
        ModelError: the parts do not belong together, or the disk is full.
    """
    headers = check_parts(files)
    first = headers[0]
    entries = [encoded for key, encoded in first.encoded.items() if not key.startswith("split.")]
    placed, end = [], 0
    for header in headers:
        for tensor in header.tensors:
            placed.append((tensor, end))
            end = _aligned(end + tensor.size, first.alignment)
    head = struct.pack("<4sIQQ", b"GGUF", 3, len(placed), len(entries)) + b"".join(entries)
    for tensor, offset in placed:
        name = tensor.name.encode()
        head += struct.pack("<Q", len(name)) + name + struct.pack("<I", len(tensor.dimensions))
        head += struct.pack(f"<{len(tensor.dimensions)}QIQ", *tensor.dimensions, tensor.kind, offset)
    data = _aligned(len(head), first.alignment)
    try:
        with target.open("wb") as joined:
            joined.write(head)
            joined.truncate(data + end)
            for tensor, offset in placed if with_data else ():
                joined.seek(data + offset)
                with tensor.file.open("rb") as part:
                    part.seek(tensor.start)
                    for start in range(0, tensor.size, _CHUNK):
                        joined.write(part.read(min(_CHUNK, tensor.size - start)))
    except OSError as error:
        raise ModelError(
            f"cannot join the parts of {files[0].name} in {target.parent} ({error.strerror}): the joined file needs "
            f"{(data + end) / 1e9:.1f} GB while the model is loading; set TMPDIR to use another folder"
        ) from error


def _aligned(position: int, alignment: int) -> int:
    return -(-position // alignment) * alignment
