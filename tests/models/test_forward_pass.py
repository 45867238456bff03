"""Hidden states and losses equal what each architecture's own forward pass returns."""

from __future__ import annotations

import gc
import weakref

import pytest
import torch
from torch import Tensor

from rankscope.models import Batch, Network, examine, forward, resolve_layers
from tiny import CONFIGURATIONS, SENTENCES, tiny_model, tiny_tokenizer

TEXTS = [tiny_tokenizer()(sentence).input_ids for sentence in SENTENCES[:4]]


def measured(network: Network, texts: list[list[int]], layers: str) -> tuple[dict[str, list[Tensor]], list[float]]:
    seen: dict[str, list[Tensor]] = {}
    losses = forward(
        network, Batch.of(texts), resolve_layers(layers, 3), lambda layer, hidden: seen.update({layer: hidden})
    )
    assert losses is not None
    return seen, losses


def run(model: torch.nn.Module, texts: list[list[int]], layers: str) -> tuple[dict[str, list[Tensor]], list[float]]:
    return measured(examine(model), texts, layers)


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_every_layer_and_the_loss_equal_the_models_own(name: str) -> None:
    model = tiny_model(name)
    seen, losses = run(model, TEXTS, "all,3")
    assert list(seen) == ["0", "1", "2", "3", "last"]
    for index, ids in enumerate(TEXTS):
        inputs = torch.tensor([ids])
        with torch.no_grad():
            own = model(input_ids=inputs, labels=inputs, output_hidden_states=True, use_cache=False)
        # Mamba's own tuple leaves the embeddings out and appends the last block's output.
        layers = ["1", "2", "3"] if name == "mamba" else ["0", "1", "2", "last"]
        for layer, hidden in zip(layers, own.hidden_states, strict=False):
            torch.testing.assert_close(seen[layer][index], hidden[0], atol=1e-5, rtol=1e-5)
        assert losses[index] == pytest.approx(float(own.loss), abs=1e-5)


def test_the_heads_input_of_opt_350m_is_after_its_projection() -> None:
    seen, _ = run(tiny_model("opt-350m"), TEXTS, "2,last")
    assert seen["2"][0].shape[1] == 32
    assert seen["last"][0].shape[1] == 16


def test_the_loss_comes_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    network = examine(tiny_model("gemma2"))
    whole = measured(network, TEXTS, "last")
    sizes: list[int] = []
    handle = network.model.lm_head.register_forward_hook(lambda _m, _i, output: sizes.append(output.shape[1]))
    monkeypatch.setattr("rankscope.models.forward_pass._LOGITS_AT_ONCE", 300 * 7)
    pieces = measured(network, TEXTS, "last")
    handle.remove()
    tokens = sum(map(len, TEXTS))
    assert sizes == [7] * (tokens // 7) + ([tokens % 7] if tokens % 7 else [])
    assert pieces[1] == pytest.approx(whole[1], abs=1e-6)
    for one, other in zip(pieces[0]["last"], whole[0]["last"], strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-6)


def test_nothing_is_left_on_the_model_also_after_an_error() -> None:
    model = tiny_model("llama")
    before = run(model, TEXTS, "all")

    def fail(_layer: str, _hidden: list[Tensor]) -> None:
        raise RuntimeError("from the callback")

    with pytest.raises(RuntimeError, match="from the callback"):
        forward(examine(model), Batch.of(TEXTS), ("1", "last"), fail)
    assert "forward" not in model.model.__dict__
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    assert torch.equal(run(model, TEXTS, "all")[1], before[1])


def test_hidden_states_do_not_pile_up() -> None:
    alive: list[int] = []
    kept: list[weakref.ref[Tensor]] = []

    def watch(_layer: str, hidden: list[Tensor]) -> None:

        gc.collect()
        alive.append(sum(reference() is not None for reference in kept))
        kept.append(weakref.ref(hidden[0]))

    forward(examine(tiny_model("llama")), Batch.of(TEXTS), resolve_layers("all", 3), watch)
    assert len(alive) == 4
    assert max(alive) <= 1


def test_a_model_whose_head_is_no_module_of_its_own() -> None:
    model = tiny_model("llama")
    model.get_output_embeddings = lambda: None
    seen, _ = run(model, TEXTS, "last")
    torch.testing.assert_close(seen["last"], run(tiny_model("llama"), TEXTS, "last")[0]["last"])


def test_a_model_whose_body_cannot_be_told_from_its_head_runs_as_a_whole() -> None:
    model = tiny_model("llama")
    expected = run(model, TEXTS[:1], "all")
    network = examine(Wrapped(model))
    assert network.body is None
    assert network.parts((5, 5)) == [[0], [1]]
    seen, losses = measured(network, TEXTS[:1], "all")
    assert losses == pytest.approx(expected[1], abs=1e-6)
    for layer in ("0", "1", "2", "last"):
        torch.testing.assert_close(seen[layer][0], expected[0][layer][0])


def test_what_runs_as_a_whole_runs_to_its_end() -> None:
    model = tiny_model("llama")
    network = examine(model, as_a_whole=True)
    ends: list[object] = []
    model.lm_head.register_forward_hook(lambda *_: ends.append(_))
    assert forward(network, Batch.of(TEXTS[:1]), ("1",), lambda *_: None, loss=False) is None
    assert forward(network, Batch.of(TEXTS[:1]), ("1", "last"), lambda *_: None, loss=False) is None

    def fail(_layer: str, _hidden: list[Tensor]) -> None:
        raise RuntimeError("from the callback")

    with pytest.raises(RuntimeError, match="from the callback"):
        forward(network, Batch.of(TEXTS[:1]), ("1", "last"), fail)
    assert len(ends) == 3


class Wrapped(torch.nn.Module):
    """A model that shows its whole self where its body is asked for."""

    def __init__(self, inside: torch.nn.Module) -> None:
        super().__init__()
        self.inside, self.config = inside, inside.config

    @property
    def base_model(self) -> torch.nn.Module:
        return self

    def get_decoder(self) -> torch.nn.Module:
        return self

    def get_input_embeddings(self) -> torch.nn.Module:
        return self.inside.get_input_embeddings()

    def get_output_embeddings(self) -> torch.nn.Module:
        return self.inside.get_output_embeddings()

    def forward(self, **given: object) -> object:
        return self.inside(**given)


def test_nothing_runs_beyond_the_deepest_layer_asked_for() -> None:
    model = tiny_model("llama")
    network = examine(model)
    ran: list[str] = []
    names = {**{f"block {place}": block for place, block in enumerate(model.model.layers, 1)}, "head": model.lm_head}
    for name, module in names.items():
        module.register_forward_hook(lambda *_, name=name: ran.append(name))
    assert forward(network, Batch.of(TEXTS), ("1",), lambda *_: None, loss=False) is None
    assert ran == ["block 1"]
    ran.clear()
    forward(network, Batch.of(TEXTS), ("last",), lambda *_: None, loss=False)
    assert ran == ["block 1", "block 2", "block 3"]  # the head is reached, and not computed


def test_padding_is_at_the_end_and_masked() -> None:
    batch = Batch.of([[5, 6, 7], [8, 9]])
    assert batch.input_ids.tolist() == [[5, 6, 7], [8, 9, 0]]
    assert batch.mask.tolist() == [[1, 1, 1], [1, 1, 0]]
