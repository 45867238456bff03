from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from rankscope.metrics.devices import SideStream, bytes_at_once, on_device, places_of_tokens, read_at_once

CPU = torch.device("cpu")


def test_numbers_arrive_in_their_dtype() -> None:
    assert on_device([3, 1], CPU).tolist() == [3, 1]
    assert on_device((3, 1), CPU, torch.float32).dtype == torch.float32


def test_places_are_those_of_real_tokens() -> None:
    padded = torch.arange(12).view(3, 4)
    expected = torch.cat([padded[0, :2], padded[1, :4], padded[2, :1]])
    assert torch.equal(padded.flatten()[places_of_tokens((2, 4, 1), 4, CPU)], expected)


def test_only_a_cpu_is_never_waited_for() -> None:
    assert read_at_once(CPU)
    assert not read_at_once(torch.device("cuda"))


def test_a_large_card_takes_more_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: SimpleNamespace(total_memory=80 << 30))
    assert bytes_at_once(CPU) < bytes_at_once(torch.device("mps")) < bytes_at_once(torch.device("cuda"))


def test_work_beside_begins_when_earlier_work_is_done() -> None:
    side_stream = SideStream()
    with side_stream(CPU):
        assert torch.ones(3).sum() == 3
    if torch.cuda.is_available():
        matrix = torch.rand(2000, 2000, device="cuda", dtype=torch.float64)
        product = matrix @ matrix  # still being computed when the sum is asked for
        with side_stream(product.device):
            total = product.sum()
        torch.cuda.synchronize()
        assert total == product.sum()
