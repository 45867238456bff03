"""What several metrics read of hidden states is computed once."""

from __future__ import annotations

import pytest
import torch

from rankscope.errors import RepresentationError
from rankscope.metrics import Representation, drop_tokens, spectrum, unit_rows

HIDDEN = torch.randn(9, 6, generator=torch.Generator().manual_seed(0))


def test_each_reading_is_that_of_its_function(monkeypatch: pytest.MonkeyPatch) -> None:
    one = Representation(HIDDEN)
    assert not one.has_spectrum
    assert torch.equal(one.read_by("states"), HIDDEN)
    assert torch.equal(one.read_by("unit rows"), unit_rows(HIDDEN))
    assert not one.has_spectrum
    for reads in ("spectrum", "adjacent spectra"):
        assert torch.equal(one.read_by(reads).eigenvalues, spectrum(HIDDEN).eigenvalues)
    assert one.has_spectrum
    monkeypatch.setattr(torch.linalg, "eigvalsh", lambda _: pytest.fail("decomposed again"))
    assert one.spectrum is one.read_by("spectrum")


def test_dropped_tokens_are_gone_from_all_readings() -> None:
    one = Representation(HIDDEN, drop="first")
    assert torch.equal(one.states, drop_tokens(HIDDEN, "first"))
    assert torch.equal(one.unit_rows, unit_rows(HIDDEN[1:]))
    with pytest.raises(RepresentationError, match="1 of 9 tokens are left"):
        _ = Representation(HIDDEN, drop="8").spectrum


def test_states_of_its_own_are_not_written_over() -> None:
    states = HIDDEN.clone()
    shared, own = Representation(states), Representation(states).own()
    states.zero_()
    assert torch.equal(own.states, HIDDEN)
    assert not shared.states.any()


def test_rounding_of_the_forward_pass_counts() -> None:
    nearly = torch.ones(6, 4) + torch.arange(6)[:, None] * 1e-2
    assert Representation(nearly).spectrum.tokens == 6
    with pytest.raises(RepresentationError, match="equal"):
        _ = Representation(nearly, computed_in=torch.bfloat16).unit_rows
