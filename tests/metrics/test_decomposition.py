"""Spectra of texts that were decomposed together are those of each."""

from __future__ import annotations

import pytest
import torch

from hard_matrices import hard_matrix
from rankscope.metrics import matrix_entropy, spectrum
from rankscope.metrics.decomposition import Decompositions, joint_spectrum
from rankscope.metrics.rows import Texts, UnitRows, exact_unit_rows, quick_unit_rows

EPS = torch.finfo(torch.float32).eps


def quick(text: torch.Tensor) -> UnitRows:
    rows = quick_unit_rows(text)
    assert rows is not None
    return UnitRows(rows[None], (len(rows),))


def test_layers_wait_until_they_are_decomposed_together(monkeypatch: pytest.MonkeyPatch) -> None:
    layers = [[hard_matrix("noise", seed + 3 * layer)[:90, :80] for seed in range(3)] for layer in range(2)]
    decompose, calls = torch.linalg.eigvalsh, []
    monkeypatch.setattr(torch.linalg, "eigvalsh", lambda gram: calls.append(1) or decompose(gram))
    waiting = Decompositions()
    found = [waiting.add(exact_unit_rows(Texts.of(layer, EPS))[0]) for layer in layers]
    assert waiting.bytes == 6 * 80 * 80 * 8
    assert not calls
    waiting.run()
    assert len(calls) == 6
    assert waiting.bytes == 0
    joint = joint_spectrum(found)
    assert joint.tokens.tolist() == [90] * 6
    expected = torch.stack([matrix_entropy(text.double()) for layer in layers for text in layer])
    torch.testing.assert_close(matrix_entropy(joint), expected, atol=1e-12, rtol=0)


def test_a_flat_spectrum_is_decomposed_in_float32_and_others_in_float64(monkeypatch: pytest.MonkeyPatch) -> None:
    decompose, dtypes = torch.linalg.eigvalsh, []
    monkeypatch.setattr(torch.linalg, "eigvalsh", lambda gram: dtypes.append(gram.dtype) or decompose(gram))
    for kind, expected in (
        ("noise", [torch.float32]),
        ("one direction", [torch.float64]),
        ("repeated tokens", [torch.float32, torch.float64]),  # tried, and found to be of low rank
    ):
        dtypes.clear()
        waiting = Decompositions()
        waiting.add(quick(hard_matrix(kind, 0)))
        waiting.run()
        assert dtypes == expected, kind


@pytest.mark.parametrize("later", [False, True])
def test_lengths_on_both_sides_of_the_hidden_size(later: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if later:  # padded, as on an accelerator
        monkeypatch.setattr("rankscope.metrics.devices.read_at_once", lambda _: False)
    texts = [torch.randn(tokens, 6, generator=torch.Generator().manual_seed(tokens)) for tokens in (4, 6, 9)]
    waiting = Decompositions(torch.float64)
    found = waiting.add(exact_unit_rows(Texts.of(texts, EPS))[0])
    waiting.run()
    for text, entropy in zip(texts, matrix_entropy(found.spectrum), strict=True):
        assert float(entropy) == pytest.approx(float(matrix_entropy(spectrum(text.double()))), abs=1e-12)
