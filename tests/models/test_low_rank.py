from __future__ import annotations

import pytest
import torch
from torch import nn

from rankscope.errors import ModelError
from rankscope.models.low_rank import add_low_rank, is_low_rank


def model() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 4), nn.Sequential(nn.Linear(4, 3)))


@pytest.mark.parametrize("middle", ["", ".default"])  # peft's names, earlier and now
def test_the_change_is_that_of_a_layer_beside(middle: str) -> None:
    changed, plain = model(), model()
    down, up = torch.randn(2, 4), torch.randn(3, 2)
    factors = {f"base.1.0.lora_A{middle}.weight": down, f"base.1.0.lora_B{middle}.weight": up}
    assert all(is_low_rank(name) for name in factors)
    add_low_rank(changed, factors, alpha=16.0, prefix="base.")
    hidden = torch.randn(7, 5)
    inner = plain[0](hidden)
    torch.testing.assert_close(changed(hidden), plain(hidden) + 16 / 2 * (inner @ down.T @ up.T))
    torch.testing.assert_close(changed[0].weight, plain[0].weight)


def test_what_does_not_fit_is_named() -> None:
    down, up = torch.zeros(2, 5), torch.zeros(4, 2)
    with pytest.raises(ModelError, match=r"low-rank update of 0 has only factor B"):
        add_low_rank(model(), {"0.lora_B.weight": up}, 1.0)
    with pytest.raises(ModelError, match="which has no such module"):
        add_low_rank(model(), {"7.lora_A.weight": down, "7.lora_B.weight": up}, 1.0)
    with pytest.raises(
        ModelError, match=r"\(4, 2\) x \(2, 5\), does not fit the model, which has a weight of \(3, 4\)"
    ):
        add_low_rank(model(), {"1.0.lora_A.weight": down, "1.0.lora_B.weight": up}, 1.0)
    assert not is_low_rank("0.weight")
