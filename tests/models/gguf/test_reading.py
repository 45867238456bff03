from __future__ import annotations

import os
from pathlib import Path

import gguf
import pytest

from rankscope.models import Placement, describe_model, load_model, parse_model_reference
from rankscope.models.gguf import read_once
from tiny_gguf import save_gguf


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files that the gguf package parses, and the tables of names that it builds."""
    found = []
    reader, name_map = gguf.GGUFReader, gguf.get_tensor_name_map
    monkeypatch.setattr(gguf, "GGUFReader", lambda path, *mode: found.append(str(path)) or reader(path, *mode))
    monkeypatch.setattr(gguf, "get_tensor_name_map", lambda *of: found.append("names") or name_map(*of))
    return found


def test_a_model_is_parsed_once_for_its_description_and_once_for_its_weights(tmp_path: Path, parsed: list[str]) -> None:
    _, file = save_gguf(tmp_path)
    described = describe_model(parse_model_reference(str(file)))
    assert parsed == [str(file)]
    load_model(described, Placement("float32", "cpu"))
    assert parsed == [str(file), str(file), "names"]


def test_a_file_that_changes_is_parsed_again(tmp_path: Path, parsed: list[str]) -> None:
    _, file = save_gguf(tmp_path)
    with read_once():
        first = gguf.GGUFReader(file)
        assert gguf.GGUFReader(str(file)) is first
        os.utime(file, ns=(0, 0))
        assert gguf.GGUFReader(file) is not first
        assert gguf.GGUFReader(file, "r") is not gguf.GGUFReader(file, "r")
    assert len(parsed) == 4


def test_the_package_is_as_before_afterwards() -> None:
    before = gguf.GGUFReader, gguf.get_tensor_name_map
    with read_once(), read_once():
        assert gguf.GGUFReader is not before[0]
    assert (gguf.GGUFReader, gguf.get_tensor_name_map) == before
