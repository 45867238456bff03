"""A number of blocks that would take minutes to build is refused at once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rankscope.errors import ModelError
from rankscope.models import describe_model, parse_model_reference
from rankscope.models.sizes import check_blocks
from tiny import save_tiny
from tiny_gguf import tiny_llama, write_gguf


@pytest.mark.parametrize(
    "written", [{"n_layer": 10_001}, {"text_config": {"num_hidden_layers": 2**31}}, {"qwen2.block_count": 10**6}]
)
def test_too_many_blocks(written: dict[str, object]) -> None:
    with pytest.raises(ModelError, match="states .* blocks"):
        check_blocks(written, "here")


@pytest.mark.parametrize("written", [{"n_layer": 10_000}, {"vocab_size": 10**6}, {"num_layers": "many"}, {}])
def test_anything_else(written: dict[str, object]) -> None:
    check_blocks(written, "here")


def test_a_folder_and_a_gguf_file(tmp_path: Path) -> None:
    folder = save_tiny(tmp_path / "tiny")
    config = json.loads((folder / "config.json").read_text()) | {"num_hidden_layers": 2**31}
    (folder / "config.json").write_text(json.dumps(config))
    model = tiny_llama()
    model.config.num_hidden_layers = 2**31
    for name in (folder, write_gguf(tmp_path / "a.gguf", model)):
        with pytest.raises(ModelError, match=r"2,147,483,648 blocks"):
            describe_model(parse_model_reference(str(name)))
