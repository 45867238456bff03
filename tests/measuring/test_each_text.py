from __future__ import annotations

import pytest
import torch

from rankscope.measuring.each_text import EachText
from rankscope.measuring.seen import Seen
from rankscope.metrics import effective_rank, normalized_matrix_entropy, spectrum


def layer(seed: int) -> torch.Tensor:
    return torch.randn(9, 5, generator=torch.Generator().manual_seed(seed))


def test_layers_of_other_hidden_sizes_are_measured_each() -> None:
    each = EachText(["effective_rank", "normalized_matrix_entropy"], 8, lambda *_: None)
    states = {"0": layer(0), "1": torch.randn(9, 4), "2": layer(2)}
    for name, hidden in states.items():
        each.see(Seen(name, {0: hidden}))
    each.close()
    for name, hidden in states.items():
        row = each.rows()[0, name]
        assert row["effective_rank"] == pytest.approx(float(effective_rank(hidden)))
        assert row["normalized_matrix_entropy"] == pytest.approx(float(normalized_matrix_entropy(hidden)))
        assert row["eigenvalues"] == pytest.approx(spectrum(hidden).positive[: len(row["eigenvalues"])].tolist())


def test_eigenvalues_that_are_not_those_of_their_matrix_are_computed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rankscope.metrics.devices.read_at_once", lambda _: False)  # as on an accelerator
    decompose = torch.linalg.eigvalsh
    expected = [float(effective_rank(layer(place))) for place in range(3)]

    def wrong_for_the_second(gram: torch.Tensor) -> torch.Tensor:
        values = decompose(gram)
        if len(values) == 3:
            values[1] *= 1.5
        return values

    monkeypatch.setattr(torch.linalg, "eigvalsh", wrong_for_the_second)
    each = EachText(["effective_rank", "stable_rank"], 0, lambda *_: None)
    each.see(Seen("last", {place: layer(place) for place in range(3)}))
    each.close()
    with pytest.warns(UserWarning, match="the CPU computed them again"):
        rows = each.rows()
    for place in range(3):
        assert rows[place, "last"]["effective_rank"] == pytest.approx(expected[place])
