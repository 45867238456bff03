"""Closed forms against seeded simulations of isotropic noise."""

from __future__ import annotations

import statistics

import pytest
import torch

from rankscope.errors import SettingsError, UnknownNameError
from rankscope.metrics import measure, noise_spectrum, noise_value, spectrum
from rankscope.metrics.table import metrics_that_read


@pytest.mark.parametrize(("tokens", "hidden_size"), [(26, 512), (128, 256), (256, 256), (512, 256), (20, 24)])
def test_every_metric_of_noise_is_within_five_per_cent_of_its_null(tokens: int, hidden_size: int) -> None:
    torch.manual_seed(0)
    measured = [measure(torch.randn(tokens, hidden_size)) for _ in range(10)]
    for metric in (one.name for one in metrics_that_read("spectrum", "unit rows") if one.null is not None):
        mean = statistics.mean(float(numbers[metric]) for numbers in measured)
        assert noise_value(metric, tokens, hidden_size) == pytest.approx(mean, rel=0.05), metric


def test_the_published_limit_of_the_matrix_nuclear_norm() -> None:
    # sqrt(N/d) for N <= d, up to the excess of the largest columns; sqrt(d/N) beyond.
    assert noise_value("matrix_nuclear_norm", 1024, 4096) == pytest.approx((1024 / 4096) ** 0.5, rel=0.06)
    assert noise_value("matrix_nuclear_norm", 4096, 1024) == pytest.approx((1024 / 4096) ** 0.5, rel=1e-6)


@pytest.mark.parametrize(("tokens", "hidden_size"), [(26, 512), (128, 256), (512, 256), (20, 24)])
def test_the_spectrum_of_noise(tokens: int, hidden_size: int) -> None:
    torch.manual_seed(0)
    rank = min(tokens - 1, hidden_size)
    samples = [spectrum(torch.randn(tokens, hidden_size)).eigenvalues[:rank] for _ in range(20)]
    found = torch.stack(samples).mean(dim=0)
    expected = noise_spectrum(tokens, hidden_size)
    assert expected.shape == (rank,)
    assert float(expected.sum()) == pytest.approx(1)
    assert (expected.diff() < 0).all()
    inner = slice(rank // 10, rank - rank // 10)  # the ends of a finite sample lie inside the law's edges
    assert torch.allclose(expected[inner], found[inner], rtol=0.05, atol=0.05 / rank)
    entropy = -(expected * expected.log()).sum()
    assert float(entropy.exp()) == pytest.approx(noise_value("effective_rank", tokens, hidden_size), rel=0.03)


def test_structure_is_far_from_noise() -> None:
    torch.manual_seed(0)
    low_rank = torch.randn(100, 5) @ torch.randn(5, 200)
    assert float(measure(low_rank)["effective_rank"]) < 0.1 * noise_value("effective_rank", 100, 200)


def test_what_has_no_null() -> None:
    with pytest.raises(UnknownNameError, match="metric with a null"):
        noise_value("loss", 10, 10)
    with pytest.raises(SettingsError, match="at least 3 tokens"):
        noise_value("effective_rank", 2, 10)
    with pytest.raises(SettingsError, match="at least 3 tokens"):
        noise_spectrum(10, 1)
