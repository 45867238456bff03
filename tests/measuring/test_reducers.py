"""Reducers keep no more than their numbers need, and sums of parts are the sum of the whole."""

from __future__ import annotations

import pytest
import torch

from rankscope.measuring.reducers import AcrossLayers, TokenSums
from rankscope.metrics import Representation, integration_of_moments, linear_cka


def layer(seed: int) -> torch.Tensor:
    return torch.randn(9, 5, generator=torch.Generator().manual_seed(seed))


def test_a_layer_is_kept_until_the_next_has_come_and_no_longer() -> None:
    across = AcrossLayers(["linear_cka"], {"1": "0", "2": "1", "last": "1"})
    kept = []
    for depth, name in enumerate(("0", "1", "2", "last")):
        across.see(name, {7: Representation(layer(depth))})
        kept.append(set(across._kept))
    assert kept == [{"0"}, {"1"}, {"1"}, set()]
    assert across.rows()[7, "last"]["linear_cka"] == pytest.approx(float(linear_cka(layer(1), layer(3))))


def test_states_that_are_overwritten_afterwards_are_compared_as_they_were() -> None:
    across = AcrossLayers(["linear_cka"], {"1": "0"})
    states = layer(0)
    across.see("0", {0: Representation(states)})
    states.copy_(layer(1))
    across.see("1", {0: Representation(states)})
    assert across.rows()[0, "1"]["linear_cka"] == pytest.approx(float(linear_cka(layer(0), layer(1))))


def test_a_number_that_one_text_does_not_have_is_absent_for_it_alone() -> None:
    across = AcrossLayers(["linear_cka", "mean_cosine_similarity"], {"1": "0"})
    with_a_zero = layer(2)
    with_a_zero[3] = 0
    across.see("0", {0: Representation(with_a_zero), 1: Representation(layer(0))})
    across.see("1", {0: Representation(layer(1)), 1: Representation(layer(1))})
    assert set(across.rows()[0, "1"]) == {"linear_cka"}
    assert set(across.rows()[1, "1"]) == {"linear_cka", "mean_cosine_similarity"}


def test_sums_over_parts_of_a_data_set_add_up() -> None:
    tokens = {(depth, kind): layer(depth + 10 * place) for depth in (1, 2) for place, kind in enumerate(("a", "b"))}

    def sums(part: slice) -> TokenSums:
        found = TokenSums()
        for depth in (1, 2):
            found = found + TokenSums.of(depth, {kind: tokens[depth, kind][part] for kind in ("a", "b")})
        return found

    def rate(found: TokenSums) -> float:
        return float(integration_of_moments(found.by_layer("a"), found.by_layer("b"), [1.0, 1.0]))

    whole, parts = sums(slice(None)), sums(slice(4)) + sums(slice(4, None))
    assert rate(parts) == pytest.approx(rate(whole), rel=1e-12)
    assert [int(one.tokens) for one in parts.by_layer("b")] == [9, 9]
