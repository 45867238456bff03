from __future__ import annotations

import pytest
import torch

from rankscope.metrics.eigenvalues import descending_eigenvalues, eigenvalues_of_each, lower_gram, smaller_gram


def rows(tokens: int, hidden_size: int) -> torch.Tensor:
    return torch.randn(tokens, hidden_size, generator=torch.Generator().manual_seed(tokens), dtype=torch.float64)


@pytest.mark.parametrize("shape", [(3, 5), (5, 3), (191, 300), (192, 300), (300, 193), (401, 700)])
def test_the_lower_triangle_is_that_of_the_whole(shape: tuple[int, int]) -> None:
    lower, whole = lower_gram(rows(*shape)), smaller_gram(rows(*shape))
    assert lower.shape == (min(shape), min(shape))
    torch.testing.assert_close(lower.tril(), whole.tril(), atol=1e-12, rtol=0)
    torch.testing.assert_close(descending_eigenvalues(lower), descending_eigenvalues(whole), atol=1e-10, rtol=0)


@pytest.mark.parametrize("threads", [1, 3])
def test_many_matrices_at_once_are_decomposed_each(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    grams = [smaller_gram(rows(tokens, 9)) for tokens in (2, 7, 4, 12)]
    found = eigenvalues_of_each(grams)
    assert [len(values) for values in found] == [2, 7, 4, 9]
    for gram, values in zip(grams, found, strict=True):
        assert torch.equal(values, descending_eigenvalues(gram))


def test_zeros_around_a_matrix_add_eigenvalues_of_zero() -> None:
    gram = smaller_gram(rows(6, 9))
    padded = torch.zeros(10, 10, dtype=torch.float64)
    padded[:6, :6] = gram
    values = descending_eigenvalues(padded)
    torch.testing.assert_close(values[:6], descending_eigenvalues(gram), atol=1e-12, rtol=0)
    assert float(values[6:].max()) < 1e-12
    assert descending_eigenvalues(torch.zeros(4, 4)).tolist() == [0, 0, 0, 0]
