from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rankscope.errors import RepresentationError, SettingsError
from rankscope.metrics import (
    TokenMoments,
    alpha_req,
    directions_needed,
    effective_rank,
    pooled,
    rankme,
    stable_rank,
    uniformity,
)
from strategies import equal_eigenvalues, representations, rotation

laws = settings(max_examples=40, deadline=None, derandomize=True)


def oracle_rankme(vectors: torch.Tensor, epsilon: float = 1e-7) -> float:
    values = np.linalg.svd(vectors.double().numpy(), compute_uv=False)
    shares = values / values.sum() + epsilon
    return float(np.exp(-(shares * np.log(shares)).sum()))


def oracle_alpha(vectors: torch.Tensor, first: int, last: int) -> float:
    """From NumPy's covariance and its weighted polynomial fit, which squares the weights."""
    values = np.linalg.eigvalsh(np.cov(vectors.double().numpy(), rowvar=False))[::-1]
    ranks = np.arange(first, last + 1)
    return float(-np.polyfit(np.log(ranks), np.log(values[first - 1 : last]), 1, w=ranks**-0.5)[0])


def oracle_uniformity(vectors: torch.Tensor, t: float = 2.0) -> float:
    x = vectors.double().numpy()
    x = x / np.linalg.norm(x, axis=1, keepdims=True)
    pairs = [math.exp(-t * ((x[i] - x[j]) ** 2).sum()) for i in range(len(x)) for j in range(i)]
    return math.log(sum(pairs) / len(pairs))


def moments_in_parts(vectors: torch.Tensor) -> TokenMoments:
    first, *others = (TokenMoments.of(part) for part in vectors.split(7))
    return sum(others, first)


def full_rank(texts: int, hidden_size: int, seed: int = 0, offset: float = 1.0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    decay = torch.arange(1, hidden_size + 1) ** -0.5
    return torch.randn(texts, hidden_size, generator=generator) * decay + offset


shapes = st.tuples(st.integers(13, 50), st.integers(12, 50), st.integers(0, 2**31), st.sampled_from([0.0, 1.0, 30.0]))


@laws
@given(shapes)
def test_rankme_equals_the_oracle(shape: tuple[int, int, int, float]) -> None:
    vectors = full_rank(*shape)
    assert float(rankme(vectors)) == pytest.approx(oracle_rankme(vectors), rel=1e-9)
    assert float(rankme(vectors, epsilon=1e-3)) == pytest.approx(oracle_rankme(vectors, 1e-3), rel=1e-9)
    assert float(rankme(moments_in_parts(vectors))) == pytest.approx(oracle_rankme(vectors), rel=1e-9)


@laws
@given(representations())
def test_rankme_of_low_rank_and_outliers(vectors: torch.Tensor) -> None:
    # Squares lose what lies below 1e-8 of the largest singular value.
    assert float(rankme(vectors)) == pytest.approx(oracle_rankme(vectors), rel=2e-5)
    assert float(rankme(TokenMoments.of(vectors))) == pytest.approx(oracle_rankme(vectors), rel=2e-5)


def test_moments_of_fewer_texts_than_dimensions_count_the_texts() -> None:
    vectors = full_rank(16, 400)
    found = float(rankme(TokenMoments.of(vectors)))
    assert found == pytest.approx(oracle_rankme(vectors), rel=1e-9)  # 400 shares would add 384 epsilons


def test_rankme_by_hand() -> None:
    assert float(rankme(torch.eye(4), epsilon=0)) == pytest.approx(4)
    assert float(rankme([[5.0, 0.0], [5.0, 0.0]], epsilon=0)) == pytest.approx(1)  # not centred: one direction
    # Shares 1 and 0: epsilon makes them 1 + 1e-7 and 1e-7, whose entropy is 1e-7 (7 ln 10 - 1).
    assert float(rankme([[5.0, 0.0], [5.0, 0.0]])) == pytest.approx(1 + 1e-7 * (7 * math.log(10) - 1), abs=1e-11)


@laws
@given(shapes)
def test_alpha_equals_the_oracle(shape: tuple[int, int, int, float]) -> None:
    vectors = full_rank(*shape)
    for ranks in ((1, 12), (3, 11)):
        expected = oracle_alpha(vectors, *ranks)
        assert float(alpha_req(vectors, ranks=ranks)) == pytest.approx(expected, abs=1e-7)
        assert float(alpha_req(moments_in_parts(vectors), ranks=ranks)) == pytest.approx(expected, abs=1e-7)


@pytest.mark.parametrize("shape", [(101, 300), (300, 100), (500, 200)])
def test_alpha_of_the_published_range(shape: tuple[int, int]) -> None:
    vectors = full_rank(*shape)
    assert float(alpha_req(vectors)) == pytest.approx(oracle_alpha(vectors, 11, 100), abs=1e-9)


@pytest.mark.parametrize("alpha", [0.0, 0.7, 1.0, 2.5])
def test_alpha_of_a_power_law_is_its_exponent(alpha: float) -> None:
    lengths = torch.arange(1, 101, dtype=torch.float64) ** (-alpha / 2)
    vectors = torch.cat([lengths.diag(), -lengths.diag()]) + 3.0
    assert float(alpha_req(vectors)) == pytest.approx(alpha, abs=1e-9)
    assert float(alpha_req(vectors, ranks=(2, 9))) == pytest.approx(alpha, abs=1e-9)


def test_alpha_weighs_ranks_by_hand() -> None:
    # Eigenvalues 4, 2, 1 (over 6 - 1): y = ln 4, ln 2, 0 at x = 0, ln 2, ln 3 with weights 6/11, 3/11, 2/11.
    lengths = torch.tensor([4.0, 2.0, 1.0]).sqrt().diag()
    weights, x, y = np.array([6, 3, 2]) / 11, np.log([1, 2, 3]), np.log([4, 2, 1])
    mean_x, mean_y = weights @ x, weights @ y
    slope = weights @ ((x - mean_x) * (y - mean_y)) / (weights @ (x - mean_x) ** 2)
    assert float(alpha_req(torch.cat([lengths, -lengths]), ranks=(1, 3))) == pytest.approx(-slope)


@laws
@given(representations(), st.floats(0.1, 4))
def test_uniformity_equals_the_oracle(vectors: torch.Tensor, t: float) -> None:
    found = float(uniformity(vectors, t=t))
    assert found == pytest.approx(oracle_uniformity(vectors, t), abs=1e-9)
    assert -4 * t <= found <= 1e-12


def test_uniformity_by_hand() -> None:
    assert float(uniformity([[1.0, 0.0], [9.0, 0.0]])) == pytest.approx(0)
    assert float(uniformity([[1.0, 0.0], [-9.0, 0.0]])) == pytest.approx(-8)
    square = [[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]]  # two pairs at 4, four at 2
    assert float(uniformity(square)) == pytest.approx(math.log((2 * math.exp(-8) + 4 * math.exp(-4)) / 6))
    spread = torch.randn(400, 2000, generator=torch.Generator().manual_seed(0))
    assert float(uniformity(spread)) == pytest.approx(-4, abs=0.02)  # as the docstring says


def test_uniformity_in_blocks_is_that_of_all_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = full_rank(50, 9, offset=0.2)
    whole = float(uniformity(vectors))
    for rows in (1, 7, 25, 49):
        monkeypatch.setattr(pooled, "_ROWS_AT_ONCE", rows)
        assert float(uniformity(vectors)) == pytest.approx(whole, abs=1e-11)


@laws
@given(shapes, st.integers(0, 1000), st.sampled_from([1e-150, 1e-3, 7.0, 1e150]))
def test_invariant_to_rotation_permutation_and_scale(
    shape: tuple[int, int, int, float], seed: int, scale: float
) -> None:
    vectors = full_rank(*shape).double()
    order = torch.randperm(len(vectors), generator=torch.Generator().manual_seed(seed))
    changed = scale * (vectors @ rotation(vectors.shape[1], seed))[order]
    assert float(rankme(changed)) == pytest.approx(float(rankme(vectors)), rel=1e-7)
    ranks = (1, 12)
    assert float(alpha_req(changed, ranks=ranks)) == pytest.approx(float(alpha_req(vectors, ranks=ranks)), abs=1e-7)
    assert float(uniformity(changed)) == pytest.approx(float(uniformity(vectors)), abs=1e-9)


def test_alpha_is_centred_and_the_others_are_not() -> None:
    vectors = full_rank(30, 12, offset=0.0).double()
    moved = vectors + 5
    assert float(alpha_req(moved, ranks=(1, 12))) == pytest.approx(float(alpha_req(vectors, ranks=(1, 12))))
    assert float(rankme(moved)) < 0.8 * float(rankme(vectors))
    assert float(uniformity(moved)) > float(uniformity(vectors)) + 1


def test_a_common_component_hides_the_spread_of_texts() -> None:
    generator = torch.Generator().manual_seed(0)
    vectors, mean = torch.randn(1000, 5, generator=generator), torch.randn(5, generator=generator)
    assert round(float(rankme(vectors)), 2) == 5.0  # as the card says
    assert round(float(rankme(vectors + 100 * 5**0.5 * mean / mean.norm())), 2) == 1.12


def test_ranks_of_the_pooled_matrix_are_those_of_one_text() -> None:
    vectors = equal_eigenvalues(5)
    assert float(effective_rank(vectors)) == pytest.approx(5)
    assert float(stable_rank(vectors)) == pytest.approx(5)
    assert float(rankme(vectors, epsilon=0)) == pytest.approx(5)  # centred already, and of equal lengths


def functions_of_vectors() -> list[object]:
    return [rankme, lambda vectors: alpha_req(vectors, ranks=(1, 2)), uniformity]


@pytest.mark.parametrize(
    ("bad", "fault"),
    [
        (torch.ones(1, 3), "one text"),
        (torch.empty(0, 3), "one text"),
        (torch.full((5, 3), math.nan), "not finite"),
        (torch.tensor([[1.0, 2.0], [math.inf, 1.0]]), "not finite"),
        (torch.randn(2, 5, 3), "wrong shape"),
        (torch.empty(4, 0), "wrong shape"),
    ],
)
def test_degenerate_vectors_are_named(bad: torch.Tensor, fault: str) -> None:
    for function in functions_of_vectors():
        with pytest.raises(RepresentationError) as error:
            function(bad)
        assert error.value.fault == fault


def test_messages_speak_of_texts() -> None:
    with pytest.raises(RepresentationError, match="inf at text 1, feature 0"):
        rankme([[1.0, 2.0], [math.inf, 1.0]])
    with pytest.raises(RepresentationError, match="the state of text 1 of 2 is zero"):
        uniformity([[1.0, 2.0], [0.0, 0.0]])


@pytest.mark.parametrize(
    ("function", "bad", "fault"),
    [
        (rankme, torch.zeros(4, 3), "only zeros"),
        (rankme, TokenMoments.of(torch.zeros(4, 3)), "only zeros"),
        (alpha_req, torch.zeros(4, 3), "equal rows"),
        (alpha_req, torch.ones(4, 3), "equal rows"),
        (alpha_req, TokenMoments.of(torch.zeros(4, 3)), "only zeros"),
        (alpha_req, TokenMoments.of(torch.full((4, 3), 0.1)), "equal rows"),
        (rankme, TokenMoments.of(torch.ones(1, 3)), "one text"),
        (alpha_req, TokenMoments.of(torch.ones(1, 3)), "one text"),
        (rankme, TokenMoments.of(torch.full((4, 3), math.nan)), "not finite"),
        (alpha_req, TokenMoments.of(torch.full((4, 3), math.inf)), "not finite"),
        (alpha_req, full_rank(100, 300), "too few eigenvalues"),
        (alpha_req, full_rank(300, 99), "too few eigenvalues"),
        (alpha_req, TokenMoments.of(full_rank(100, 300)), "too few eigenvalues"),
    ],
)
def test_what_has_no_number(function: object, bad: object, fault: str) -> None:
    with pytest.raises(RepresentationError) as error:
        function(bad)
    assert error.value.fault == fault


def test_too_few_eigenvalues_are_counted() -> None:
    with pytest.raises(RepresentationError, match="has only 15 above rounding.*ends at 15 or before"):
        alpha_req(full_rank(16, 64))


@pytest.mark.parametrize("ranks", [(0, 5), (3, 3), (5, 2)])
def test_ranks_that_are_no_range(ranks: tuple[int, int]) -> None:
    with pytest.raises(SettingsError, match="two integers from 1"):
        alpha_req(full_rank(20, 20), ranks=ranks)


def test_settings_out_of_range() -> None:
    with pytest.raises(SettingsError, match="epsilon must be at least 0"):
        rankme(torch.eye(3), epsilon=-1e-7)
    with pytest.raises(SettingsError, match="t must be above 0"):
        uniformity(torch.eye(3), t=0)


@laws
@given(shapes)
def test_directions_are_the_sizes_of_a_pca(shape: tuple[int, int, int, float]) -> None:
    texts, hidden_size, seed, offset = shape
    vectors = full_rank(texts, hidden_size, seed, offset)
    variances = np.linalg.svd(vectors.double().numpy() - vectors.double().numpy().mean(0), compute_uv=False) ** 2
    shares = np.cumsum(variances) / variances.sum()
    by_hand = [int(np.argmax(shares >= share)) + 1 for share in (0.5, 0.9, 0.99)]
    assert directions_needed(vectors, (0.5, 0.9, 0.99)).tolist() == by_hand
    assert directions_needed(moments_in_parts(vectors), (0.5, 0.9, 0.99)).tolist() == by_hand


def test_equal_variances_need_their_share_of_directions() -> None:
    vectors = torch.cat([torch.eye(10), -torch.eye(10)])
    assert directions_needed(vectors, (0.1, 0.25, 0.9, 1.0)).tolist() == [1, 3, 9, 10]


def test_directions_refuse_equal_vectors_and_shares_that_are_none() -> None:
    with pytest.raises(RepresentationError, match="equal"):
        directions_needed(torch.ones(5, 3))
    with pytest.raises(RepresentationError, match="equal"):
        directions_needed(TokenMoments.of(torch.ones(5, 3)))
    for share in (0.0, 1.1):
        with pytest.raises(SettingsError, match="above 0 and at most 1"):
            directions_needed(torch.eye(3), (share,))
