"""The header of a GGUF file: metadata, and the location of each tensor.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md (versions 2 and 3, little-endian).
"""

from __future__ import annotations

import math
import mmap
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rankscope.errors import ModelError

_MAGIC = b"GGUF"
_VERSIONS = (2, 3)
_STRING, _ARRAY = 8, 9
# u8 i8 u16 i16 u32 i32 f32 bool u64 i64 f64
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_MOST_DIMENSIONS = 4


@dataclass(frozen=True)
class GgufTensor:
    """The location of a tensor.

    Attributes:
        file: that contains it.
        name: llama.cpp's name.
        dimensions: fastest-varying first.
        kind: ggml's number of the data type.
        start: first byte in the file.
        size: in bytes.
    """

    file: Path
    name: str
    dimensions: tuple[int, ...]
    kind: int
    start: int
    size: int

    def floats(self) -> list[float]:
        """The values of a small float32 tensor.

        Raises:
            ModelError: the tensor has another data type.
        """
        if self.kind != 0:
            raise ModelError(f"{self.file}: tensor {self.name} has ggml's data type {self.kind}, expected 0 (float32)")
        with self.file.open("rb") as file:
            file.seek(self.start)
            return list(struct.unpack(f"<{self.size // 4}f", file.read(self.size)))


@dataclass(frozen=True)
class GgufHeader:
    """A file's metadata and tensors.

    Attributes:
        path: the file.
        metadata: values by key; None for an array of strings, which is not read.
        encoded: the same entries as raw bytes, including key and type.
        tensors: in the file's order.
    """

    path: Path
    metadata: dict[str, Any]
    encoded: dict[str, bytes]
    tensors: tuple[GgufTensor, ...]

    @property
    def architecture(self) -> str:
        """llama.cpp's name of the architecture."""
        return str(self.metadata["general.architecture"])

    @property
    def alignment(self) -> int:
        """Tensors begin at multiples of this many bytes."""
        return int(self.metadata.get("general.alignment", 32))

    def tensor(self, name: str) -> GgufTensor | None:
        """The tensor with a name, or None."""
        return next((tensor for tensor in self.tensors if tensor.name == name), None)


def read_header(path: Path) -> GgufHeader:
    """Reads everything but the tensors' data.

    Raises:
        ModelError: not a GGUF file of a supported version, or damaged or truncated.
    """
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return _Reader(path, content).header()
    except (OSError, ValueError, struct.error, OverflowError) as error:
        # An empty file, names that are not UTF-8, or lengths beyond the end of the file.
        raise ModelError(f"{path} is not a readable GGUF file, it may be truncated: {error}") from error


class _Reader:
    """A position in a file's bytes, which advances with each value read."""

    def __init__(self, path: Path, content: mmap.mmap) -> None:
        self.path, self.content, self.position = path, content, 0

    def header(self) -> GgufHeader:
        if self.content[:4] != _MAGIC:
            raise ModelError(f"{self.path} is not a GGUF file: it begins with {self.content[:4]!r}, not with b'GGUF'")
        self.position = 4
        version, tensors, entries = self.numbers("IQQ")
        if version not in _VERSIONS:
            swapped = " (big-endian)" if version & 0xFFFF == 0 else ""
            raise ModelError(
                f"{self.path} is GGUF version {version}{swapped}: supported are versions 2 and 3, little-endian"
            )
        metadata: dict[str, Any] = {}
        encoded: dict[str, bytes] = {}
        for _ in range(entries):
            start = self.position
            key = self.string()
            metadata[key] = self.value(self.numbers("I")[0])
            encoded[key] = self.content[start : self.position]
        self._check(metadata)
        described = [self.tensor() for _ in range(tensors)]
        alignment = int(metadata.get("general.alignment", 32))
        data = math.ceil(self.position / alignment) * alignment
        placed = tuple(self.place(entry, data) for entry in described)
        return GgufHeader(self.path, metadata, encoded, placed)

    def numbers(self, format: str) -> tuple[Any, ...]:  # noqa: A002
        found = struct.unpack_from(f"<{format}", self.content, self.position)
        self.position += struct.calcsize(f"<{format}")
        return found

    def string(self) -> str:
        (length,) = self.numbers("Q")
        return self.bytes(length).decode()

    def bytes(self, length: int) -> bytes:
        if self.position + length > len(self.content):
            raise ValueError(f"a text of {length} bytes at byte {self.position} of {len(self.content)}")
        self.position += length
        return self.content[self.position - length : self.position]

    def value(self, kind: int) -> Any:
        if kind == _STRING:
            return self.string()
        if kind in _SCALARS:
            return self.numbers(_SCALARS[kind])[0]
        if kind != _ARRAY:
            raise ValueError(f"metadata of unknown type {kind}")
        inner, count = self.numbers("IQ")
        if inner in _SCALARS:
            return list(self.numbers(f"{count}{_SCALARS[inner]}"))
        if inner != _STRING:
            raise ValueError(f"an array of unknown type {inner}")
        for _ in range(count):
            (length,) = self.numbers("Q")
            self.bytes(length)
        return None

    def tensor(self) -> tuple[str, tuple[int, ...], int, int]:
        name = self.string()
        (number,) = self.numbers("I")
        if number > _MOST_DIMENSIONS:
            raise ValueError(f"tensor {name!r} has {number} dimensions")
        dimensions = self.numbers(f"{number}Q")
        kind, offset = self.numbers("IQ")
        return name, dimensions, kind, offset

    def place(self, described: tuple[str, tuple[int, ...], int, int], data: int) -> GgufTensor:
        from gguf import GGML_QUANT_SIZES, GGMLQuantizationType

        name, dimensions, kind, offset = described
        sizes = {int(known): GGML_QUANT_SIZES[known] for known in GGMLQuantizationType}
        if kind not in sizes:
            raise ModelError(
                f"{self.path}: tensor {name} has the data type {kind}, which the gguf package does not know"
            )
        block, width = sizes[kind]
        size = math.prod(dimensions) // block * width
        if data + offset + size > len(self.content):
            raise ModelError(
                f"{self.path} is truncated: tensor {name} ends at byte {data + offset + size}, "
                f"the file at {len(self.content)}"
            )
        return GgufTensor(self.path, name, dimensions, kind, data + offset, size)

    def _check(self, metadata: dict[str, Any]) -> None:
        if not isinstance(metadata.get("general.architecture"), str) and "split.count" not in metadata:
            raise ModelError(f"{self.path} does not state its general.architecture")
        alignment = metadata.get("general.alignment", 32)
        if not isinstance(alignment, int) or alignment < 1:
            raise ModelError(f"{self.path} states the alignment {alignment!r}: expected a positive integer")
