from __future__ import annotations

import math

import pytest
import torch

from rankscope.errors import RepresentationError
from rankscope.metrics import perplexity, token_cross_entropy


def test_uniform_logits_give_the_logarithm_of_the_vocabulary() -> None:
    loss = token_cross_entropy(torch.zeros(5, 8), torch.tensor([1, 2, 3, 4, 5]))
    assert float(loss) == pytest.approx(math.log(8))
    assert float(perplexity(loss)) == pytest.approx(8)


def test_equals_the_definition() -> None:
    torch.manual_seed(0)
    logits, ids = torch.randn(6, 9, dtype=torch.float64), torch.randint(9, (6,))
    probabilities = logits.softmax(dim=-1)
    expected = -sum(math.log(float(probabilities[t, ids[t + 1]])) for t in range(5)) / 5
    assert float(token_cross_entropy(logits, ids)) == pytest.approx(expected)


def test_padding_does_not_count() -> None:
    torch.manual_seed(0)
    logits, ids = torch.randn(2, 6, 9), torch.randint(9, (2, 6))
    mask = torch.tensor([[1, 1, 1, 1, 1, 1], [1, 1, 1, 0, 0, 0]])
    alone = torch.stack([token_cross_entropy(logits[0], ids[0]), token_cross_entropy(logits[1, :3], ids[1, :3])])
    torch.testing.assert_close(token_cross_entropy(logits, ids, mask), alone)


def test_half_precision_logits_are_raised_to_float32() -> None:
    torch.manual_seed(0)
    logits, ids = torch.randn(6, 9).bfloat16(), torch.randint(9, (6,))
    assert torch.equal(token_cross_entropy(logits, ids), token_cross_entropy(logits.float(), ids))


def test_one_token_predicts_nothing() -> None:
    with pytest.raises(RepresentationError, match="at least 2 tokens, got 1"):
        token_cross_entropy(torch.zeros(1, 4), torch.tensor([1]))
