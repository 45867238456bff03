from __future__ import annotations

import pytest
import torch

from rankscope.errors import RepresentationError, SettingsError
from rankscope.metrics import (
    drop_tokens,
    effective_rank,
    matrix_nuclear_norm,
    noise_value,
    nuclear_norm,
    rarefaction_curve,
    rotated_matrix_nuclear_norm,
)
from strategies import rotation


def test_dropping_tokens_by_place() -> None:
    hidden = torch.randn(6, 4)
    assert torch.equal(drop_tokens(hidden, "first"), hidden[1:])
    assert torch.equal(drop_tokens(hidden, "3"), hidden[3:])
    assert torch.equal(drop_tokens(hidden, 3), hidden[3:])


def test_dropping_massive_tokens_brings_the_rank_back() -> None:
    torch.manual_seed(0)
    hidden = torch.randn(50, 32) + 0.5
    with_sink = hidden.clone()
    with_sink[0] *= 1000
    assert float(effective_rank(with_sink)) < 2 < 20 < float(effective_rank(hidden))
    kept = drop_tokens(with_sink, "massive")
    assert torch.equal(kept, hidden[1:])
    assert torch.equal(drop_tokens(hidden, "massive"), hidden)


@pytest.mark.parametrize("rule", ["none", "0", "-1", "1.5"])
def test_other_rules_are_refused(rule: str) -> None:
    with pytest.raises(SettingsError, match="'first', 'massive' or a number"):
        drop_tokens(torch.randn(5, 4), rule)


def test_too_few_tokens_left() -> None:
    with pytest.raises(RepresentationError, match="1 of 5 tokens remain") as caught:
        drop_tokens(torch.randn(5, 4), "4")
    assert caught.value.fault == "too few tokens left"


def test_the_rarefaction_curve_of_noise_follows_its_null() -> None:
    torch.manual_seed(0)
    sizes = [10, 50, 200]
    curve = rarefaction_curve(torch.randn(200, 64), sizes)
    for size, value in zip(sizes, curve, strict=True):
        assert float(value) == pytest.approx(noise_value("effective_rank", size, 64), rel=0.05)


def test_the_rarefaction_curve_ends_at_the_text_itself_and_can_be_repeated() -> None:
    hidden = torch.randn(30, 8)
    assert float(rarefaction_curve(hidden, [30], draws=2)[0]) == pytest.approx(float(effective_rank(hidden)))
    assert torch.equal(rarefaction_curve(hidden, [10]), rarefaction_curve(hidden, [10]))
    with pytest.raises(SettingsError, match="from 2 to the text's 30 tokens, got 31"):
        rarefaction_curve(hidden, [10, 31])


@pytest.mark.parametrize(("tokens", "hidden_size"), [(64, 128), (200, 64)])
def test_a_rotation_takes_from_the_norm_what_its_basis_gave(tokens: int, hidden_size: int) -> None:
    torch.manual_seed(0)
    hidden = torch.randn(tokens, hidden_size, dtype=torch.float64)
    hidden[:, :2] *= 100
    turned = [hidden @ rotation(hidden_size, seed) for seed in range(5)]
    expected = sum(float(matrix_nuclear_norm(one)) for one in turned) / 5
    assert float(rotated_matrix_nuclear_norm(hidden)) == pytest.approx(expected, rel=0.05)
    assert float(matrix_nuclear_norm(hidden)) < 0.6 * expected
    assert float(nuclear_norm(turned[0])) == pytest.approx(float(nuclear_norm(hidden)))


def test_many_dimensions_are_estimated_from_some() -> None:
    torch.manual_seed(0)
    hidden = torch.randn(100, 1024, dtype=torch.float64) @ torch.diag(torch.linspace(0.1, 3, 1024).double())
    expected = float(matrix_nuclear_norm(hidden @ rotation(1024)))
    assert float(rotated_matrix_nuclear_norm(hidden)) == pytest.approx(expected, rel=0.03)
