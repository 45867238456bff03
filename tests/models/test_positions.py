"""How long a text may be, by each family's own name for it."""

from __future__ import annotations

import pytest
import torch
from transformers import CONFIG_MAPPING, AutoModelForCausalLM

from every_class import tiny_config
from rankscope.models.positions import positions_of


@pytest.mark.parametrize(
    ("model_type", "changes", "expected"),
    [
        ("llama", {"max_position_embeddings": 77}, 77),
        ("llama", {"max_position_embeddings": 0}, None),
        ("llama", {"max_position_embeddings": -1}, None),
        ("gpt2", {"n_positions": 50}, 50),
        ("mpt", {"max_seq_len": 96}, 96),
        ("whisper", {"max_target_positions": 40}, 40),
        ("mamba", {}, None),
        ("roberta", {"max_position_embeddings": 40, "pad_token_id": 1}, 38),
        ("camembert", {"max_position_embeddings": 40, "pad_token_id": 5}, 34),
        ("bart", {"max_position_embeddings": 40, "encoder_layers": 2}, 40),
    ],
)
def test_positions_by_family(model_type: str, changes: dict[str, int], expected: int | None) -> None:
    assert positions_of(CONFIG_MAPPING[model_type](**changes)) == expected


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("model_type", ["roberta", "camembert", "xlm-roberta", "xmod", "data2vec-text"])
def test_one_token_more_than_roberta_and_its_kin_allow_fails(model_type: str) -> None:
    config = tiny_config(model_type)
    model = AutoModelForCausalLM.from_config(config).eval()
    longest = positions_of(config)
    assert longest is not None
    model(input_ids=torch.full((1, longest), 7))
    with pytest.raises((IndexError, RuntimeError), match="out of"):
        model(input_ids=torch.full((1, longest + 1), 7))
