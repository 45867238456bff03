"""Batches of token ids become numbered batches of rows, whatever library the network comes from."""

from __future__ import annotations

import pytest
import torch

from measuring.toy_network import BLOCKS, ToyNetwork, states_by_hand
from rankscope.errors import LayerError, RankscopeError
from rankscope.measuring import Layers, Plan, TextTask, measure_batches
from rankscope.measuring.planned import PlannedText, UnusableText
from rankscope.metrics import effective_rank, linear_cka, matrix_entropy, mean_cosine_similarity

ALL = Layers(("0", "1", "2", "last"), {"1": "0", "2": "1", "last": "2"})
TEXTS = (
    PlannedText(0, "a", (5, 9, 2, 7, 7, 30, 41)),
    PlannedText(2, "c", (1, 2, 3, 4), is_cut=True),
    PlannedText(1, "b", (3, 3, 3)),
)
PLAN = Plan.of((TEXTS[:2], TEXTS[2:]), (UnusableText(3, "d", 1, "fewer than 2 tokens"),))
METRICS = ("matrix_entropy", "effective_rank", "matrix_entropy_change", "linear_cka", "mean_cosine_similarity", "loss")


def rows_of(task: TextTask, network: ToyNetwork | None = None) -> dict[tuple[str, str], dict]:
    found = [row for _, rows in measure_batches(task, PLAN, network or ToyNetwork()) for row in rows]
    return {(row["text_id"], row["layer"]): row for row in found}


def test_each_text_and_layer_is_measured_as_by_hand() -> None:
    found = rows_of(TextTask("toy", "made-up", layers=ALL, metrics=METRICS))
    assert len(found) == 4 * 4
    for text in TEXTS[:2]:
        states = states_by_hand(text.tokens)
        for depth, layer in enumerate(ALL.names):
            row = found[text.id, layer]
            assert (row["status"], row["n_tokens"], row["hidden_size"], row["cut"]) == (
                "ok", len(text.tokens), 16, text.is_cut,
            )  # fmt: skip
            assert row["effective_rank"] == pytest.approx(float(effective_rank(states[depth])))
            if depth == 0:
                assert "linear_cka" not in row
                continue
            before, after = states[depth - 1], states[depth]
            change = float(matrix_entropy(after) - matrix_entropy(before))
            assert row["matrix_entropy_change"] == pytest.approx(change)
            assert row["linear_cka"] == pytest.approx(float(linear_cka(before, after)))
            assert row["mean_cosine_similarity"] == pytest.approx(float(mean_cosine_similarity(before, after)))


def test_texts_that_cannot_be_measured_have_rows_that_say_why() -> None:
    found = rows_of(TextTask("toy", "made-up", layers=ALL, metrics=METRICS))
    assert {found["b", layer]["reason"] for layer in ALL.names} == {"equal rows"}  # one token, three times
    assert {found["d", layer]["reason"] for layer in ALL.names} == {"fewer than 2 tokens"}
    assert found["d", "last"]["status"] == "skipped"


def test_batches_are_numbered_and_those_that_are_done_are_left_out() -> None:
    task = TextTask("toy", "made-up")
    numbers = [number for number, _ in measure_batches(task, PLAN, ToyNetwork())]
    assert numbers == [0, 1, 2]
    assert PLAN.sizes == (11, 3, 0)
    network = ToyNetwork()
    assert [number for number, _ in measure_batches(task, PLAN, network, done={0, 2})] == [1]
    assert len(network.passes) == 1


def test_nothing_is_measured_before_it_is_asked_for() -> None:
    network = ToyNetwork()
    batches = measure_batches(TextTask("toy", "made-up"), PLAN, network)
    assert network.passes == []
    next(batches)
    assert network.passes == [(("last",), False)]


def test_only_layers_with_a_neighbour_are_compared() -> None:
    layers = Layers(("0", "2", "last"), {"last": "2"})
    found = rows_of(TextTask("toy", "made-up", layers=layers, metrics=("linear_cka",)))
    states = states_by_hand(TEXTS[0].tokens)
    assert "linear_cka" not in found["a", "2"]
    assert found["a", "last"]["linear_cka"] == pytest.approx(float(linear_cka(states[2], states[BLOCKS])))


def test_entropies_that_only_their_change_needs_are_not_reported() -> None:
    alone = rows_of(TextTask("toy", "made-up", layers=ALL, metrics=("matrix_entropy_change",)))
    both = rows_of(TextTask("toy", "made-up", layers=ALL, metrics=("matrix_entropy", "matrix_entropy_change")))
    assert not any("matrix_entropy" in row for row in alone.values())
    assert alone["a", "1"]["matrix_entropy_change"] == both["a", "1"]["matrix_entropy_change"]


def test_dropped_tokens_are_left_out_of_every_metric() -> None:
    found = rows_of(TextTask("toy", "made-up", layers=ALL, metrics=METRICS, drop_tokens="3"))
    states = [one[3:] for one in states_by_hand(TEXTS[0].tokens)]
    assert found["a", "1"]["n_tokens"] == 4
    assert found["a", "1"]["linear_cka"] == pytest.approx(float(linear_cka(states[0], states[1])))
    assert found["c", "1"]["reason"] == "too few tokens left"
    assert "linear_cka" not in found["c", "1"]


def test_values_that_are_not_finite_name_layer_and_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "tanh", lambda states: states * torch.inf)
    with pytest.raises(LayerError, match="toy, layer 1, text 'a': hidden states must be finite"):
        rows_of(TextTask("toy", "made-up", layers=ALL))


def test_what_was_computed_before_a_forward_pass_fails_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rankscope.metrics.devices.read_at_once", lambda _: False)  # numbers are read later
    network = ToyNetwork()
    run = network.run

    def fails_at_the_second(*arguments: object, **options: object) -> torch.Tensor | None:
        if network.passes:
            raise torch.OutOfMemoryError
        return run(*arguments, **options)

    monkeypatch.setattr(network, "run", fails_at_the_second)
    batches = measure_batches(TextTask("toy", "made-up"), PLAN, network)
    assert next(batches)[0] == 0
    with pytest.raises(RankscopeError, match="out of memory"):
        next(batches)
