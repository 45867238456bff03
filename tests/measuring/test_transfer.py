from __future__ import annotations

import numpy as np
import torch

from rankscope.measuring.transfer import Transfer


def test_tensors_arrive_as_they_left() -> None:
    tensors = [torch.arange(6.0).reshape(2, 3), torch.tensor([3, 4]), torch.tensor([1 / 3], dtype=torch.float64)]
    arrived = Transfer(tensors).read()
    assert [one.shape for one in arrived] == [(2, 3), (2,), (1,)]
    for one, left in zip(arrived, tensors, strict=True):
        np.testing.assert_array_equal(one, left.numpy())


def test_nothing_arrives_of_nothing() -> None:
    assert Transfer([]).read() == []
