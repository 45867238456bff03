from __future__ import annotations

import pytest
import torch

from rankscope.measuring.across_layers import AcrossLayers
from rankscope.measuring.columns import Row
from rankscope.measuring.reducers import Place
from rankscope.measuring.seen import Seen
from rankscope.metrics import linear_cka


def rows_of(across: AcrossLayers, *failed: tuple[int, str], places: tuple[int, ...] = (0,)) -> dict[Place, Row]:
    """What a reducer finds, with unit rows for all texts at all layers but those that failed."""
    layers = dict.fromkeys([*across.before, *across.before.values()])
    status = {(place, name): "skipped" if (place, name) in failed else "ok" for place in places for name in layers}
    return across.rows({at: {"status": one, "matrix_entropy": float(at[1])} for at, one in status.items()})


def layer(seed: int) -> torch.Tensor:
    return torch.randn(9, 5, generator=torch.Generator().manual_seed(seed))


def test_a_layer_is_kept_until_the_next_has_come_and_no_longer() -> None:
    across = AcrossLayers(["linear_cka"], {"1": "0", "2": "1", "3": "1"})
    kept = []
    for depth, name in enumerate(("0", "1", "2", "3")):
        across.see(Seen(name, {7: layer(depth)}))
        kept.append(set(across._kept))
    assert kept == [{"0"}, {"1"}, {"1"}, set()]
    across.close()
    assert rows_of(across, places=(7,))[7, "3"]["linear_cka"] == pytest.approx(float(linear_cka(layer(1), layer(3))))


def test_states_that_are_overwritten_afterwards_are_compared_as_they_were() -> None:
    across = AcrossLayers(["linear_cka"], {"1": "0"})
    states = layer(0)
    across.see(Seen("0", {0: states}))
    states.copy_(layer(1))
    across.see(Seen("1", {0: states}))
    across.close()
    assert rows_of(across)[0, "1"]["linear_cka"] == pytest.approx(float(linear_cka(layer(0), layer(1))))


def test_a_number_that_one_text_does_not_have_is_absent_for_it_alone() -> None:
    across = AcrossLayers(["linear_cka", "mean_cosine_similarity"], {"1": "0"})
    with_a_zero = layer(2)
    with_a_zero[3] = 0
    across.see(Seen("0", {0: with_a_zero, 1: layer(0)}))
    across.see(Seen("1", {0: layer(1), 1: layer(1)}))
    across.close()
    found = rows_of(across, places=(0, 1))
    assert set(found[0, "1"]) == {"linear_cka"}
    assert set(found[1, "1"]) == {"linear_cka", "mean_cosine_similarity"}


def test_changes_of_entropy_come_from_the_entropies_of_each_layer() -> None:
    across = AcrossLayers(["matrix_entropy_change"], {"2": "0", "5": "2"})
    for name in ("0", "2", "5"):
        across.see(Seen(name, {0: layer(0)}))
    across.close()
    assert rows_of(across) == {(0, "2"): {"matrix_entropy_change": 2.0}, (0, "5"): {"matrix_entropy_change": 3.0}}


def test_a_text_that_was_skipped_at_either_layer_has_no_values() -> None:
    across = AcrossLayers(["linear_cka", "matrix_entropy_change"], {"1": "0", "2": "1"})
    for name in ("0", "1", "2"):
        across.see(Seen(name, {0: layer(int(name)), 1: layer(3 + int(name))}))
    across.close()
    found = rows_of(across, (0, "2"), (1, "0"), places=(0, 1))
    assert set(found) == {(0, "1"), (1, "2")}
    assert all(set(row) == {"linear_cka", "matrix_entropy_change"} for row in found.values())


def test_texts_with_other_tokens_at_the_previous_layer_have_no_values() -> None:
    across = AcrossLayers(["linear_cka"], {"1": "0"})
    across.see(Seen("0", {0: layer(0), 1: layer(1)[:-1]}))
    across.see(Seen("1", {0: layer(2), 1: layer(3)}))
    across.close()
    assert [set(row) for row in rows_of(across, places=(0, 1)).values()] == [{"linear_cka"}, set()]


@pytest.mark.parametrize("bytes_at_once", [1, 1000, 1 << 30])
def test_texts_are_compared_together_on_an_accelerator_with_the_same_values(
    bytes_at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = [{place: layer(place + 10 * depth)[: 3 + place] for place in range(6)} for depth in range(2)]
    texts[1][2] = torch.ones_like(texts[1][2])
    texts[0][4][1] = 0
    each = []
    for together in (False, True):
        if together:
            monkeypatch.setattr("rankscope.metrics.devices.read_at_once", lambda _: False)
            monkeypatch.setattr("rankscope.metrics.devices.bytes_at_once", lambda _: bytes_at_once)
        across = AcrossLayers(["linear_cka", "mean_cosine_similarity"], {"1": "0"})
        for depth, states in enumerate(texts):
            across.see(Seen(str(depth), states))
        across.close()
        each.append(rows_of(across, places=tuple(range(6))))
    assert {at: set(row) for at, row in each[0].items()} == {at: set(row) for at, row in each[1].items()}
    assert set(each[0][2, "1"]) == {"mean_cosine_similarity"}
    assert set(each[0][4, "1"]) == {"linear_cka"}
    for at, row in each[0].items():
        assert each[1][at] == pytest.approx(row, abs=1e-12)
