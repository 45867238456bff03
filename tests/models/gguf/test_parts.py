from __future__ import annotations

from pathlib import Path

import pytest

from rankscope.errors import ModelError
from rankscope.models.gguf import gguf_files, join_parts, name_without_part, part_names, read_header
from tiny_gguf import tiny_llama, write_gguf


@pytest.fixture
def parts(tmp_path: Path) -> tuple[Path, ...]:
    write_gguf(tmp_path / "small.gguf", tiny_llama(), split=12)
    return tuple(sorted(tmp_path.glob("small-*.gguf")))


def test_names_of_parts() -> None:
    assert part_names("a-00002-of-00002.gguf") == ("a-00001-of-00002.gguf", "a-00002-of-00002.gguf")
    assert part_names("a.gguf") == ("a.gguf",)
    assert name_without_part("a-00002-of-00002.gguf") == "a.gguf"
    assert name_without_part("a.gguf") == "a.gguf"


def test_joined_parts_equal_the_file_that_was_never_split(parts: tuple[Path, ...], tmp_path: Path) -> None:
    assert len(parts) == 3
    whole = read_header(write_gguf(tmp_path / "whole.gguf", tiny_llama()))
    for part in parts:
        assert gguf_files(part.parent, part.name) == parts
    join_parts(parts, tmp_path / "joined.gguf")
    joined = read_header(tmp_path / "joined.gguf")
    assert joined.metadata == whole.metadata
    assert joined.encoded == whole.encoded
    content = {header.path: header.path.read_bytes() for header in (joined, whole)}
    for header in (joined, whole):
        assert all(tensor.start % header.alignment == 0 for tensor in header.tensors)
    assert {t.name: content[joined.path][t.start : t.start + t.size] for t in joined.tensors} == {
        t.name: content[whole.path][t.start : t.start + t.size] for t in whole.tensors
    }


def test_without_data_the_file_has_its_length(parts: tuple[Path, ...], tmp_path: Path) -> None:
    join_parts(parts, tmp_path / "joined.gguf")
    join_parts(parts, tmp_path / "empty.gguf", with_data=False)
    joined, empty = read_header(tmp_path / "joined.gguf"), read_header(tmp_path / "empty.gguf")
    assert (tmp_path / "empty.gguf").stat().st_size == (tmp_path / "joined.gguf").stat().st_size
    assert joined.metadata == empty.metadata


def test_a_missing_part_is_named(parts: tuple[Path, ...]) -> None:
    parts[1].unlink()
    with pytest.raises(ModelError, match=r"one of 3 parts of a model, but small-00002-of-00003.gguf is missing"):
        gguf_files(parts[0].parent, parts[0].name)


def test_parts_that_do_not_belong_together(parts: tuple[Path, ...], tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="states that it is part 1 .* but its name says 0"):
        join_parts((parts[1], parts[0], parts[2]), tmp_path / "joined.gguf")
    with pytest.raises(ModelError, match="part 0 .* of 3, but its name says 0 of 2"):
        join_parts(parts[:2], tmp_path / "joined.gguf")
    other = tmp_path / "other"
    other.mkdir()
    write_gguf(other / "small.gguf", tiny_llama(), split=11)
    with pytest.raises(ModelError, match="occurs twice"):
        join_parts((parts[0], other / parts[1].name, parts[2]), tmp_path / "joined.gguf")


def test_no_room_for_the_joined_file(parts: tuple[Path, ...], tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"cannot join the parts of small-00001-of-00003.gguf .* TMPDIR"):
        join_parts(parts, tmp_path / "absent" / "joined.gguf")
