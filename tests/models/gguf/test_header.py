from __future__ import annotations

import random
import struct
from pathlib import Path

import gguf
import numpy as np
import pytest

from rankscope.errors import ModelError
from rankscope.models.gguf import read_header
from tiny_gguf import tiny_llama, write_gguf


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    keys = {"list": [1, 2, 3], "flag": True}
    tensors = {"f16": np.arange(6, dtype=np.float16).reshape(2, 3)}
    return write_gguf(tmp_path_factory.mktemp("gguf") / "tiny.gguf", tiny_llama(), keys, tensors)


def test_a_header_is_what_the_gguf_package_reads(file: Path) -> None:
    header, expected = read_header(file), gguf.GGUFReader(file)
    assert header.architecture == "llama"
    fields = {name: field for name, field in expected.fields.items() if not name.startswith("GGUF.")}
    assert list(header.metadata) == list(fields)
    for name, field in fields.items():
        strings = field.types[-1] == gguf.GGUFValueType.STRING and len(field.types) > 1
        assert header.metadata[name] == (None if strings else field.contents()), name
    assert [(tensor.name, tensor.dimensions, tensor.start, tensor.size) for tensor in header.tensors] == [
        (tensor.name, tuple(tensor.shape.tolist()), tensor.data_offset, tensor.n_bytes) for tensor in expected.tensors
    ]


def test_the_numbers_of_a_small_tensor(file: Path) -> None:
    header = read_header(file)
    norm = header.tensor("output_norm.weight")
    assert norm is not None
    assert norm.floats() == [1.0] * 32
    half = header.tensor("f16")
    assert half is not None
    with pytest.raises(ModelError, match="data type 1, expected 0"):
        half.floats()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a readable GGUF file"),
        (b"GGUF", "not a readable GGUF file"),
        (b"GGML" + bytes(40), "begins with b'GGML'"),
        (struct.pack("<4sIQQ", b"GGUF", 1, 0, 0), "GGUF version 1:"),
        (struct.pack(">4sIQQ", b"GGUF", 3, 0, 0), "big-endian"),
        (struct.pack("<4sIQQ", b"GGUF", 3, 0, 0), "does not state its general.architecture"),
        (struct.pack("<4sIQQQ", b"GGUF", 3, 0, 1, 1 << 60), "a text of 1152921504606846976 bytes"),
        (struct.pack("<4sIQQQ1sI", b"GGUF", 3, 0, 1, 1, b"a", 99), "unknown type 99"),
    ],
)
def test_what_is_no_gguf_file(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "bad.gguf").write_bytes(content)
    with pytest.raises(ModelError, match=message):
        read_header(tmp_path / "bad.gguf")


def test_a_file_that_is_cut_off(file: Path, tmp_path: Path) -> None:
    content = file.read_bytes()
    (tmp_path / "short.gguf").write_bytes(content[:-1000])
    with pytest.raises(ModelError, match=r"is truncated: tensor .* ends at byte"):
        read_header(tmp_path / "short.gguf")


def test_damage_is_a_model_error_or_seen_in_the_header(file: Path, tmp_path: Path) -> None:
    """Each byte of the head may be wrong: the reader says so in one line, or reads other values."""
    content, drawn = file.read_bytes(), random.Random(0)
    messages = []
    for _ in range(300):
        damaged = bytearray(content)
        for _ in range(drawn.choice((1, 4))):
            damaged[drawn.randrange(6000)] = drawn.randrange(256)
        (tmp_path / "damaged.gguf").write_bytes(bytes(damaged))
        try:
            read_header(tmp_path / "damaged.gguf")
        except ModelError as error:
            messages.append(str(error))
    assert len(messages) > 30
    assert not [message for message in messages if "\n" in message]
