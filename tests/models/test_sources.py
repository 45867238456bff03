from __future__ import annotations

from pathlib import Path

import pytest
import torch

from rankscope.errors import ModelError
from rankscope.models import Placement, describe_model, load_model, parse_model_reference, untrained_twin
from rankscope.models.sources import one_gguf_file
from tiny_gguf import tiny_llama, write_gguf


def test_parts_are_one_model_from_the_name_of_any(tmp_path: Path) -> None:
    write_gguf(tmp_path / "small.gguf", tiny_llama(), split=12)
    whole = write_gguf(tmp_path / "whole.gguf", tiny_llama())
    expected = describe_model(parse_model_reference(str(whole)))
    for part in sorted(tmp_path.glob("small-*.gguf")):
        reference = parse_model_reference(str(part))
        assert reference.label == "small"
        description = describe_model(reference)
        assert description.tokenizer("She sells.").input_ids == expected.tokenizer("She sells.").input_ids
        for ours, theirs in zip(
            load_model(description, Placement()).parameters(), tiny_llama().parameters(), strict=True
        ):
            assert torch.equal(ours, theirs)
        for ours, theirs in zip(
            untrained_twin(description, 0, Placement()).parameters(),
            untrained_twin(expected, 0, Placement()).parameters(),
            strict=True,
        ):
            assert torch.equal(ours, theirs)


def test_the_joined_file_does_not_stay(tmp_path: Path) -> None:
    write_gguf(tmp_path / "small.gguf", tiny_llama(), split=12)
    reference = parse_model_reference(str(tmp_path / "small-00002-of-00003.gguf"))
    with one_gguf_file(reference) as joined:
        place = Path(joined.location)
        assert (place / "small.gguf").is_file()
    assert not place.exists()


def test_one_part_under_a_name_of_its_own(tmp_path: Path) -> None:
    write_gguf(tmp_path / "small.gguf", tiny_llama(), split=12)
    (tmp_path / "small-00001-of-00003.gguf").rename(tmp_path / "first.gguf")
    with pytest.raises(ModelError, match=r"is one of 3 parts of a model: put all parts in the same folder"):
        describe_model(parse_model_reference(str(tmp_path / "first.gguf")))
