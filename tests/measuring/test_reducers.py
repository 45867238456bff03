"""Reducers keep no more than their numbers need, and sums of parts are the sum of the whole."""

from __future__ import annotations

import pytest
import torch

from rankscope.measuring.reducers import TokenSums
from rankscope.metrics import integration_of_moments


def layer(seed: int) -> torch.Tensor:
    return torch.randn(9, 5, generator=torch.Generator().manual_seed(seed))


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
