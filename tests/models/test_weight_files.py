from __future__ import annotations

import json
import random
import struct
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from rankscope.errors import ModelError
from rankscope.models import Placement, describe_model, load_model, parse_model_reference, weight_files
from tiny import save_tiny, tiny_model, tiny_tokenizer
from tiny_gguf import tiny_llama, write_gguf


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return save_tiny(tmp_path / "tiny")


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    tiny_model("llama").save_pretrained(tmp_path / "shards", max_shard_size="40KB")
    tiny_tokenizer().save_pretrained(tmp_path / "shards")
    return tmp_path / "shards"


def files(text: Path | str) -> list[str]:
    return [file.name for file in weight_files(parse_model_reference(str(text)))]


def load(folder: Path) -> torch.nn.Module:
    return load_model(describe_model(parse_model_reference(str(folder))), Placement())


def test_what_transformers_reads_of_a_folder(folder: Path) -> None:
    (folder / "training_args.bin").write_bytes(b"not weights")
    (folder / "pytorch_model.bin").write_bytes(b"not read if there are safetensors")
    assert files(folder) == ["model.safetensors"]
    (folder / "model.safetensors").unlink()
    assert files(folder) == ["pytorch_model.bin"]
    (folder / "pytorch_model.bin").unlink()
    assert files(folder) == []
    assert files("facebook/opt-125m") == []


def test_shards_with_their_index(shards: Path) -> None:
    named = files(shards)
    assert named[0] == "model.safetensors.index.json"
    assert named[1:] == sorted(file.name for file in shards.glob("model-*.safetensors"))
    assert len(named) > 3
    ids = torch.arange(9)[None]
    assert torch.equal(load(shards)(ids).logits, tiny_model("llama")(ids).logits)


def test_parts_of_a_gguf_file(tmp_path: Path) -> None:
    write_gguf(tmp_path / "small.gguf", tiny_llama(), split=12)
    parts = [f"small-0000{number}-of-00003.gguf" for number in (1, 2, 3)]
    assert files(tmp_path / parts[1]) == parts


def test_a_shard_that_is_not_there(shards: Path) -> None:
    first = files(shards)[1]
    (shards / first).unlink()
    with pytest.raises(ModelError, match=f"lists 1 missing files, first {first}"):
        load(shards)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"weight_map": 3}', '{"weight_map": {"a": 3}}', "[" * 100_000])
def test_a_damaged_index(shards: Path, text: str) -> None:
    (shards / "model.safetensors.index.json").write_text(text)
    with pytest.raises(ModelError, match="is damaged: expected a weight_map"):
        load(shards)


def test_an_index_that_leads_elsewhere(shards: Path, folder: Path) -> None:
    index = {"weight_map": {"lm_head.weight": f"../{folder.name}/model.safetensors"}}
    (shards / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(ModelError, match="which is not in its folder"):
        load(shards)


def test_a_whole_file_beside_shards(shards: Path, folder: Path) -> None:
    (shards / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes())
    with pytest.raises(ModelError, match="has both model.safetensors and model.safetensors.index.json"):
        load(shards)


def test_files_that_are_cut_off_or_too_long(folder: Path) -> None:
    file = folder / "model.safetensors"
    content = file.read_bytes()
    for changed, message in (
        (content[:-1], "is truncated or damaged"),
        (content + b"0", "is truncated or damaged"),
        (content[:100], "is not a complete safetensors file"),
        (b"", "is not a complete safetensors file"),
        (struct.pack("<Q", 1 << 62) + content[8:], "is not a complete safetensors file"),
        (struct.pack("<Q", 5) + content[8:], "cannot read its safetensors header"),
        (struct.pack("<Q", 2) + b"[]", "cannot read its safetensors header"),
        (struct.pack("<Q", 9) + b'{"a": {}}', "cannot read its safetensors header"),
    ):
        file.write_bytes(changed)
        with pytest.raises(ModelError, match=message):
            load(folder)


def test_damage_anywhere_is_a_model_error_or_other_weights(folder: Path) -> None:
    """Bytes of the header drawn at random: a `ModelError` of one line, or a model."""
    file, drawn = folder / "model.safetensors", random.Random(0)
    content = file.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    refused = 0
    for _ in range(25):
        damaged = bytearray(content)
        for _ in range(3):
            damaged[drawn.randrange(8 + length)] = drawn.randrange(256)
        file.write_bytes(bytes(damaged))
        try:
            load(folder)
        except ModelError as error:
            refused += "\n" not in str(error)
    assert refused > 15


def test_a_pickle_that_is_more_than_weights(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    torch.save({**weights, "hook": print}, folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match="cannot load the weights") as caught:
        load(folder)
    assert "\n" not in str(caught.value)
