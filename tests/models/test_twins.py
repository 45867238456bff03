from __future__ import annotations

from pathlib import Path

import pytest
import torch

from rankscope.errors import ModelError
from rankscope.models import (
    Placement,
    check_same_shape,
    describe_model,
    load_model,
    parse_model_reference,
    permuted_twin,
)
from tiny import save_tiny


def test_permuted_weights_are_the_same_numbers_elsewhere(tiny_folder: Path) -> None:
    description = describe_model(parse_model_reference(str(tiny_folder)))
    trained = dict(load_model(description, Placement()).named_parameters())
    twin, again, other = (permuted_twin(description, seed, Placement()) for seed in (0, 0, 1))
    assert not twin.training
    moved = 0
    for (name, weight), same, different in zip(
        twin.named_parameters(), again.parameters(), other.parameters(), strict=True
    ):
        assert torch.equal(weight.flatten().sort().values, trained[name].flatten().sort().values)
        assert torch.equal(weight, same)
        moved += not torch.equal(weight, trained[name])
        if weight.unique().numel() > 10:
            assert not torch.equal(weight, different)
    assert moved > 10


def test_tied_weights_stay_tied(tmp_path: Path) -> None:
    folder = save_tiny(tmp_path / "gpt2", "gpt2")
    twin = permuted_twin(describe_model(parse_model_reference(str(folder))), 0, Placement())
    assert twin.lm_head.weight is twin.transformer.wte.weight


def test_a_checkpoint_of_another_shape_is_no_baseline(tiny_folder: Path, tmp_path: Path) -> None:
    model = describe_model(parse_model_reference(str(tiny_folder)))
    check_same_shape(model, model)
    other = describe_model(parse_model_reference(str(save_tiny(tmp_path / "qwen2", "qwen2"))))
    with pytest.raises(ModelError, match="its model_type is qwen2, not llama"):
        check_same_shape(model, other)
