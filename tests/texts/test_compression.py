from __future__ import annotations

import bz2
import gzip
import lzma
from pathlib import Path

import pyarrow as pa
import pytest

from rankscope.errors import DataError
from rankscope.texts.compression import open_bytes, without_compression
from rankscope.texts.files import read_path

LINES = b"".join(b'{"text": "number %d"}\n' % number for number in range(3000))
COMPRESS = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": lambda content: pa.compress(content, codec="zstd", asbytes=True),
}


@pytest.mark.parametrize("suffix", COMPRESS)
def test_content_is_that_of_the_plain_file(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.jsonl{suffix}"
    path.write_bytes(COMPRESS[suffix](LINES))
    with open_bytes(path) as file:
        assert file.read() == LINES
    path.write_bytes(COMPRESS[suffix](LINES[:2200]) + COMPRESS[suffix](LINES[2200:]))  # as `cat a b` makes it
    assert [row["text"] for _, row in read_path(path)] == [f"number {number}" for number in range(3000)]
    assert without_compression(path) == tmp_path / "a.jsonl"


@pytest.mark.parametrize("suffix", COMPRESS)
def test_half_a_file_and_a_file_of_another_kind_are_named(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.jsonl{suffix}"
    for content in (COMPRESS[suffix](LINES)[:-20], b"plain", LINES):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"a.jsonl\.\w+ is not a complete (gzip|bzip2|xz|Zstandard) file"):
            list(read_path(path))


def test_what_cannot_be_opened_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot read .*: Is a directory"), open_bytes(tmp_path):
        pass
