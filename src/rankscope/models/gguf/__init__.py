"""GGUF files: headers, multi-part files, and settings that transformers' reader ignores."""

from rankscope.models.gguf.header import GgufHeader, GgufTensor, read_header
from rankscope.models.gguf.parts import gguf_files, join_parts, name_without_part, part_names
from rankscope.models.gguf.reading import read_once
from rankscope.models.gguf.settings import apply_settings
from rankscope.models.gguf.unused import unused_tensors

__all__ = [
    "GgufHeader",
    "GgufTensor",
    "apply_settings",
    "gguf_files",
    "join_parts",
    "name_without_part",
    "part_names",
    "read_header",
    "read_once",
    "unused_tensors",
]
