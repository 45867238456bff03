from __future__ import annotations

import math

import pytest
import torch

from rankscope.errors import SettingsError
from rankscope.metrics import aggregate_effective_rank, diff_erank, erank_ratio, reduced_loss

UNTRAINED = torch.tensor([math.log(8), math.log(32)], dtype=torch.float64)
TRAINED = torch.tensor([math.log(4), math.log(16)], dtype=torch.float64)


def test_both_algorithms_by_hand() -> None:
    assert float(aggregate_effective_rank(UNTRAINED, "a")) == pytest.approx(16)  # geometric mean
    assert float(aggregate_effective_rank(UNTRAINED, "b")) == pytest.approx(20)  # mean
    assert float(diff_erank(UNTRAINED, TRAINED)) == pytest.approx(16 - 8)
    assert float(diff_erank(UNTRAINED, TRAINED, "b")) == pytest.approx(20 - 10)


def test_a_model_against_itself_is_zero_and_the_sign_follows_the_order() -> None:
    assert float(diff_erank(TRAINED, TRAINED)) == 0
    assert float(diff_erank(TRAINED, UNTRAINED)) == pytest.approx(-8)


def test_several_twins_at_once() -> None:
    twins = torch.stack([UNTRAINED, TRAINED])
    torch.testing.assert_close(diff_erank(twins, TRAINED), torch.tensor([8.0, 0.0], dtype=torch.float64))


def test_no_texts_or_another_algorithm_is_an_error() -> None:
    with pytest.raises(SettingsError, match="at least one text"):
        aggregate_effective_rank(torch.empty(0))
    with pytest.raises(SettingsError, match="'c'"):
        aggregate_effective_rank.__wrapped__(UNTRAINED, "c")


def test_the_ratio_by_hand_and_its_laws() -> None:
    assert float(erank_ratio(UNTRAINED, TRAINED)) == pytest.approx(8 / 16)
    assert float(erank_ratio(UNTRAINED, TRAINED, "b")) == pytest.approx(10 / 20)
    assert float(erank_ratio(TRAINED, TRAINED)) == 1
    rank = float(aggregate_effective_rank(UNTRAINED))
    assert float(diff_erank(UNTRAINED, TRAINED)) == pytest.approx(rank * (1 - float(erank_ratio(UNTRAINED, TRAINED))))


def test_reduced_loss_by_hand() -> None:
    assert float(reduced_loss(torch.tensor([10.0, 12.0]), torch.tensor([3.0, 4.0]))) == pytest.approx(7.5)
