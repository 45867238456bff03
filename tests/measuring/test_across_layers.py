from __future__ import annotations

import pytest
import torch

from rankscope.measuring.across_layers import AcrossLayers
from rankscope.measuring.each_text import EachText
from rankscope.measuring.seen import Seen
from rankscope.metrics import linear_cka, matrix_entropy_change

CPU = torch.device("cpu")


def layer(seed: int) -> torch.Tensor:
    return torch.randn(9, 5, generator=torch.Generator().manual_seed(seed))


def test_a_layer_is_kept_until_the_next_has_come_and_no_longer() -> None:
    across = AcrossLayers(["linear_cka"], {"1": "0", "2": "1", "last": "1"})
    kept = []
    for depth, name in enumerate(("0", "1", "2", "last")):
        across.see(Seen(name, {7: layer(depth)}))
        kept.append(set(across._kept))
    assert kept == [{"0"}, {"1"}, {"1"}, set()]
    across.close()
    assert across.rows()[7, "last"]["linear_cka"] == pytest.approx(float(linear_cka(layer(1), layer(3))))


def test_states_that_are_overwritten_afterwards_are_compared_as_they_were() -> None:
    across = AcrossLayers(["linear_cka"], {"1": "0"})
    states = layer(0)
    across.see(Seen("0", {0: states}))
    states.copy_(layer(1))
    across.see(Seen("1", {0: states}))
    across.close()
    assert across.rows()[0, "1"]["linear_cka"] == pytest.approx(float(linear_cka(layer(0), layer(1))))


def test_a_number_that_one_text_does_not_have_is_absent_for_it_alone() -> None:
    across = AcrossLayers(["linear_cka", "mean_cosine_similarity"], {"1": "0"})
    with_a_zero = layer(2)
    with_a_zero[3] = 0
    across.see(Seen("0", {0: with_a_zero, 1: layer(0)}))
    across.see(Seen("1", {0: layer(1), 1: layer(1)}))
    across.close()
    assert set(across.rows()[0, "1"]) == {"linear_cka"}
    assert set(across.rows()[1, "1"]) == {"linear_cka", "mean_cosine_similarity"}


@pytest.mark.parametrize("later", [False, True])
def test_changes_of_entropy_come_from_the_spectra_of_each_layer(later: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if later:  # as on an accelerator
        monkeypatch.setattr("rankscope.metrics.devices.read_at_once", lambda _: False)  # as on an accelerator
    constant = torch.ones(9, 5)
    each = EachText(["matrix_entropy_change"], 0)
    across = AcrossLayers(["matrix_entropy_change"], {"1": "0"})
    for seen in (Seen("0", {0: layer(0), 1: layer(1)}), Seen("1", {0: layer(2), 1: constant})):
        for reducer in (each, across):
            reducer.see(seen)
        seen.release()
    each.close(CPU)
    across.close()
    assert each.rows([0, 1], lambda _: None)[1, "1"]["reason"] == "equal rows"
    expected = float(matrix_entropy_change(layer(0), layer(2)))
    assert across.rows() == {(0, "1"): {"matrix_entropy_change": pytest.approx(expected)}}
