"""The trial run finds what would make numbers wrong in silence."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn
from transformers import Phi3Config, Phi3ForCausalLM

from every_class import tiny_model as of_type
from rankscope.errors import ForwardPassError, ModelError
from rankscope.models import Batch, check_padding, examine, forward
from tiny import tiny_model


def test_an_ordinary_network() -> None:
    model = tiny_model("llama")
    network = examine(model)
    assert network.body is model.model
    assert list(network.blocks) == list(model.model.layers)
    assert (network.causal, network.fault, network.padding_fault, network.streams) == (True, None, None, False)
    assert network.parts((9, 5, 2)) == [[0, 1, 2]]


def test_it_leaves_no_trace() -> None:
    model = tiny_model("gpt2").train()
    before = torch.get_rng_state()
    examine(model)
    assert torch.equal(torch.get_rng_state(), before)
    assert all(module.training for module in model.modules())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_a_network_that_reads_in_both_directions_has_no_loss() -> None:
    network = examine(of_type("bert"))
    assert not network.causal
    assert forward(network, Batch.of([[7, 8, 9, 10]]), ("last",), lambda *_: None) is None


class LeaksPadding(nn.Module):
    """Adds the mean over all positions, padding included, above so many of them."""

    def __init__(self, block: nn.Module, above: int) -> None:
        super().__init__()
        self.block, self.above = block, above

    def forward(self, hidden_states: torch.Tensor, **given: object) -> torch.Tensor:
        out = self.block(hidden_states, **given)
        return out + out.mean(dim=1, keepdim=True) if out.shape[1] > self.above else out


def test_a_network_that_sees_padding_reads_texts_one_by_one() -> None:
    model = tiny_model("llama")
    model.model.layers[1] = LeaksPadding(model.model.layers[1], above=0)
    network = examine(model)
    assert "padded" in str(network.padding_fault)
    assert network.parts((9, 5)) == [[0], [1]]


def test_padding_is_checked_at_the_lengths_of_a_run() -> None:
    model = tiny_model("llama")
    model.model.layers[1] = LeaksPadding(model.model.layers[1], above=20)
    network = examine(model)
    assert network.padding_fault is None
    ids = list(range(5, 45))
    assert check_padding(network, ids[:15], ids[:3]).padding_fault is None
    assert check_padding(network, ids, ids[:3]).padding_fault is not None


def test_random_hidden_states_are_refused() -> None:
    model = tiny_model("llama")
    model.model.norm.register_forward_hook(lambda _m, _i, output: output + torch.randn_like(output))
    with pytest.raises(ModelError, match="different hidden states each time"):
        examine(model)


def test_two_blocks_in_another_order_than_in_the_trial_are_an_error() -> None:
    model = tiny_model("llama")
    network = examine(model)
    model.model.layers = nn.ModuleList([model.model.layers[place] for place in (1, 0, 2)])
    with pytest.raises(ForwardPassError, match="a different order"):
        forward(network, Batch.of([[5, 6, 7]]), ("2",), lambda *_: None)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda states: states[:, :-1], "layer 2: no hidden states of 1 texts x 3 tokens"),
        (lambda states: states[0], "layer 2: no hidden states"),
    ],
)
def test_states_of_another_shape_than_in_the_trial_are_an_error(
    change: Callable[[torch.Tensor], torch.Tensor], message: str
) -> None:
    model = tiny_model("llama")
    network = examine(model)
    model.model.layers[1].register_forward_hook(lambda _m, _i, output: change(output))
    with pytest.raises(ForwardPassError, match=message):
        forward(network, Batch.of([[5, 6, 7]]), ("2",), lambda *_: None)


def test_a_network_that_fails_is_named_with_what_it_said() -> None:
    model = tiny_model("gpt2")
    network = examine(model)
    with pytest.raises(ForwardPassError, match=r"GPT2LMHeadModel failed on 1 texts of up to 200 tokens \(IndexError"):
        forward(network, Batch.of([[7] * 200]), ("last",), lambda *_: None)


def test_texts_on_both_sides_of_a_change_of_frequencies_do_not_share_a_batch() -> None:
    torch.manual_seed(0)
    config = Phi3Config(
        vocab_size=300, hidden_size=32, intermediate_size=48, num_hidden_layers=3, num_attention_heads=4,
        num_key_value_heads=4, max_position_embeddings=128, original_max_position_embeddings=16, pad_token_id=0,
        rope_scaling={"type": "longrope", "short_factor": [1.0] * 4, "long_factor": [1.0, 5.0, 9.0, 13.0]},
    )  # fmt: skip
    network = examine(Phi3ForCausalLM(config).eval())
    assert network.regimes == (16,)
    assert network.parts((40, 17, 16, 3)) == [[0, 1], [2, 3]]
