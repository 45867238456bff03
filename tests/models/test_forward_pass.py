"""Hidden states and losses equal what each architecture's own forward pass returns."""

from __future__ import annotations

import gc
import weakref

import pytest
import torch
from torch import Tensor

from rankscope.errors import ModelError
from rankscope.models import Batch, forward, resolve_layers
from tiny import CONFIGURATIONS, SENTENCES, tiny_model, tiny_tokenizer

TEXTS = [tiny_tokenizer()(sentence).input_ids for sentence in SENTENCES[:4]]


def run(model: torch.nn.Module, texts: list[list[int]], layers: str) -> tuple[dict[str, list[Tensor]], list[float]]:
    seen: dict[str, list[Tensor]] = {}
    losses = forward(
        model, Batch.of(texts), resolve_layers(layers, 3), lambda layer, hidden: seen.update({layer: hidden})
    )
    return seen, losses


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
    model = tiny_model("gemma2")
    whole = run(model, TEXTS, "last")
    sizes: list[int] = []
    handle = model.lm_head.register_forward_hook(lambda _m, _i, output: sizes.append(output.shape[1]))
    monkeypatch.setattr("rankscope.models.forward_pass._LOGITS_AT_ONCE", 300 * 7)
    pieces = run(model, TEXTS, "last")
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
        forward(model, Batch.of(TEXTS), ("1", "last"), fail)
    assert "forward" not in model.model.__dict__
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    assert run(model, TEXTS, "all")[1] == before[1]


def test_hidden_states_do_not_pile_up() -> None:
    alive: list[int] = []
    kept: list[weakref.ref[Tensor]] = []

    def watch(_layer: str, hidden: list[Tensor]) -> None:

        gc.collect()
        alive.append(sum(reference() is not None for reference in kept))
        kept.append(weakref.ref(hidden[0]))

    forward(tiny_model("llama"), Batch.of(TEXTS), resolve_layers("all", 3), watch)
    assert len(alive) == 4
    assert max(alive) <= 1


def test_a_model_whose_head_is_no_module_of_its_own() -> None:
    model = tiny_model("llama")
    model.get_output_embeddings = lambda: None
    seen, _ = run(model, TEXTS, "last")
    torch.testing.assert_close(seen["last"], run(tiny_model("llama"), TEXTS, "last")[0]["last"])


def test_a_model_without_a_body_is_refused() -> None:
    model = tiny_model("llama")
    model.get_decoder = lambda: model
    with pytest.raises(ModelError, match="does not separate its body from its head"):
        run(model, TEXTS, "last")


def test_padding_is_at_the_end_and_masked() -> None:
    batch = Batch.of([[5, 6, 7], [8, 9]])
    assert batch.input_ids.tolist() == [[5, 6, 7], [8, 9, 0]]
    assert batch.mask.tolist() == [[1, 1, 1], [1, 1, 0]]
