"""A model of transformers, as measuring sees it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from rankscope.errors import ModelError, RankscopeError
from rankscope.models import TRANSFORMERS, Backend, Batch, LoadedNetwork, Placement, Reading, TransformersNetwork
from tiny import VOCABULARY, save_tiny, tiny_model

TEXTS = [[5, 9, 2, 7], [1, 2, 3]]


def last_layer(network: LoadedNetwork) -> torch.Tensor:
    seen: list[torch.Tensor] = []
    network.run(Batch.of(TEXTS), ("last",), lambda _, states: seen.append(states[0].clone()), loss=False)
    return seen[0]


def test_each_network_is_the_one_that_was_asked_for(tmp_path: Path) -> None:
    backend: Backend = TRANSFORMERS
    described = backend.describe(str(save_tiny(tmp_path / "model")))
    trained = last_layer(backend.load(described, Placement()))
    with torch.inference_mode():
        by_hand = tiny_model("llama").model(torch.tensor(TEXTS[:1])).last_hidden_state[0]
    assert torch.allclose(trained, by_hand, atol=1e-5)
    untrained = [last_layer(backend.untrained(described, seed, Placement())) for seed in (0, 0, 1)]
    assert torch.equal(untrained[0], untrained[1])
    assert not torch.equal(untrained[0], untrained[2])
    permuted = last_layer(backend.permuted(described, 0, Placement()))
    assert not torch.allclose(permuted, trained, atol=1e-2)


def test_weights_that_change_while_they_are_loaded_are_refused(tmp_path: Path) -> None:
    folder = save_tiny(tmp_path / "model")
    described = TRANSFORMERS.describe(str(folder))
    assert described.parts.weights
    save_tiny(folder, seed=1)
    with pytest.raises(RankscopeError, match="model.safetensors changed while the model was loading"):
        TRANSFORMERS.load(described, Placement())
    with pytest.raises(RankscopeError, match="model.safetensors changed while the model was loading"):
        TRANSFORMERS.permuted(described, 0, Placement())


def test_token_ids_and_padding_are_checked_on_the_texts_of_a_run() -> None:
    network = TransformersNetwork.of(tiny_model("llama"))
    assert network.reading == Reading()
    assert network.fitted_to("tiny", [TEXTS]).parts((4, 3)) == [[0, 1]]
    with pytest.raises(ModelError, match=f"tiny: tokenizer and embedding do not match: .* up to {VOCABULARY}"):
        network.fitted_to("tiny", [[[VOCABULARY, 1]]])
    assert network.fitted_to("tiny", []) == network
