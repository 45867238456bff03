from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm

from rankscope.errors import RepresentationError
from rankscope.metrics import (
    TokenMoments,
    frechet_distance,
    modality_integration_rate,
    outlier_range,
    without_outliers,
)


def tokens(seed: int, count: int = 80, width: int = 6, scale: float = 1.0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.randn(width, width, generator=generator)
    return (torch.randn(count, width, generator=generator) @ mixing + torch.randn(width, generator=generator)) * scale


def oracle_distance(one: np.ndarray, other: np.ndarray) -> float:
    """The Frechet distance from its formula, with a general matrix square root."""
    apart = one.mean(axis=0) - other.mean(axis=0)
    c1, c2 = np.cov(one, rowvar=False), np.cov(other, rowvar=False)
    return float(apart @ apart + np.trace(c1 + c2 - 2 * np.real(sqrtm(c1 @ c2))))


def oracle_rate(vision: list[torch.Tensor], text: list[torch.Tensor]) -> float:
    """The definition, layer by layer."""
    total = 0.0
    for seen, read in zip(vision, text, strict=True):
        scale = 1 / np.linalg.norm(read.numpy(), axis=1).mean()
        kept = []
        for states in (seen.double().numpy() * scale, read.double().numpy() * scale):
            norms = np.linalg.norm(states, axis=1)
            middle = np.sort(norms)[(len(norms) - 1) // 2]  # torch's median
            kept.append(states[np.abs(norms - middle) <= 3 * norms.std(ddof=1)])
        total += oracle_distance(*kept)
    return math.log10(total)


def test_distance_agrees_with_a_general_square_root() -> None:
    one, other = tokens(0), tokens(1, count=50)
    found = float(frechet_distance(TokenMoments.of(one), TokenMoments.of(other)))
    assert found == pytest.approx(oracle_distance(one.double().numpy(), other.double().numpy()), rel=1e-6)


def test_distance_of_one_dimension_by_hand() -> None:
    one, other = (
        torch.tensor([[0.0], [2.0]]),
        torch.tensor([[5.0], [11.0]]),
    )  # means 1 and 8, deviations sqrt 2, 3 sqrt 2
    assert float(frechet_distance(TokenMoments.of(one), TokenMoments.of(other))) == pytest.approx(49 + 8)


def test_distance_is_zero_symmetric_and_the_shift_squared() -> None:
    one = tokens(0)
    moments = TokenMoments.of(one)
    assert float(frechet_distance(moments, moments)) == pytest.approx(0, abs=1e-9)
    shifted = TokenMoments.of(one + torch.tensor([3.0, 4.0, 0, 0, 0, 0]))
    assert float(frechet_distance(moments, shifted)) == pytest.approx(25, rel=1e-5)
    other = TokenMoments.of(tokens(1))
    assert float(frechet_distance(moments, other)) == pytest.approx(float(frechet_distance(other, moments)))


def test_moments_of_parts_add_up_and_scale() -> None:
    whole, parts = tokens(0), tokens(0).split([1, 29, 0, 50])
    joined = TokenMoments.of(parts[0])
    for part in parts[1:]:
        joined = joined + TokenMoments.of(part)
    mean, covariance = joined.scaled(0.5).mean_and_covariance()
    torch.testing.assert_close(mean, whole.double().mean(dim=0) / 2)
    torch.testing.assert_close(covariance, torch.cov(whole.double().T) / 4)


def test_rate_agrees_with_the_definition() -> None:
    vision = [tokens(layer, 120, scale=layer + 1) for layer in range(3)]
    text = [tokens(layer + 10, 70, scale=2 * layer + 1) for layer in range(3)]
    vision[1][5] *= 40  # an outlier
    text[2][3] *= 40
    assert float(modality_integration_rate(vision, text)) == pytest.approx(oracle_rate(vision, text), rel=1e-6)


def test_rate_ignores_a_layer_s_scale_and_an_outlier() -> None:
    vision, text = [tokens(0, 200), tokens(1, 200)], [tokens(2, 200), tokens(3, 200)]
    rate = float(modality_integration_rate(vision, text))
    scaled = modality_integration_rate([vision[0] * 7, vision[1]], [text[0] * 7, text[1]])
    assert float(scaled) == pytest.approx(rate, rel=1e-6)
    with_sink = [torch.cat([vision[0], 1000 * vision[0][:1]]), vision[1]]
    assert float(modality_integration_rate(with_sink, text)) == pytest.approx(rate, abs=0.02)


def test_closer_modalities_have_a_lower_rate() -> None:
    text = tokens(0, 300)
    rates = [float(modality_integration_rate([tokens(1, 300) + shift], [text])) for shift in (0.0, 5.0, 50.0)]
    assert rates == sorted(rates)
    assert rates[0] < rates[-1] - 1


def test_outliers_are_three_deviations_from_the_median() -> None:
    hidden = torch.cat([torch.ones(99, 1), torch.full((1, 1), 100.0)])
    low, high = outlier_range(torch.linalg.vector_norm(hidden, dim=1))
    assert high == pytest.approx(1 + 3 * float(hidden.std()))
    assert low == pytest.approx(1 - 3 * float(hidden.std()))
    assert without_outliers(hidden, (low, high)).shape == (99, 1)


def test_too_few_tokens_and_equal_modalities_are_named() -> None:
    with pytest.raises(RepresentationError, match="at least two, got 1"):
        frechet_distance(TokenMoments.of(tokens(0, 1)), TokenMoments.of(tokens(1)))
    same = torch.ones(3, 2)
    with pytest.raises(RepresentationError, match="same moments"):
        modality_integration_rate([same], [same])
    with pytest.raises(RepresentationError, match="all text tokens of a layer are zero"):
        modality_integration_rate([same], [same * 0])
