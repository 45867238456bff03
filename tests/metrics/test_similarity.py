from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from oracle import oracle_entropy
from rankscope.errors import RepresentationError
from rankscope.metrics import linear_cka, matrix_entropy_change, mean_cosine_similarity, noise_value, spectrum
from rankscope.metrics.rows import Texts
from rankscope.metrics.similarity import linear_cka_of_texts, mean_cosine_similarity_of_texts
from strategies import representations, rotation

pytestmark = pytest.mark.slow

laws = settings(max_examples=30, deadline=None, derandomize=True)


def oracle_cka(before: torch.Tensor, after: torch.Tensor) -> float:
    """From centred kernels, as Kornblith et al. write it: HSIC(K, L) / sqrt(HSIC(K, K) HSIC(L, L))."""
    x, y = (states.double().numpy() for states in (before, after))
    centre = np.eye(len(x)) - 1 / len(x)
    k, l = (centre @ (z @ z.T) @ centre for z in (x, y))  # noqa: E741
    return float(np.trace(k @ l) / math.sqrt(np.trace(k @ k) * np.trace(l @ l)))


def later_layer(states: torch.Tensor, size: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    mixed = states.double() @ torch.randn(states.shape[1], size, generator=generator, dtype=torch.float64)
    return mixed + 0.5 * mixed.std() * torch.randn(mixed.shape, generator=generator, dtype=torch.float64)


@laws
@given(representations(), st.integers(1, 60))
def test_cka_equals_the_oracle_through_either_gram(states: torch.Tensor, size: int) -> None:
    other = later_layer(states, size)
    assert float(linear_cka(states, other)) == pytest.approx(oracle_cka(states, other), abs=1e-9)


@laws
@given(representations())
def test_laws_of_cka(states: torch.Tensor) -> None:
    states = states.double()
    other = later_layer(states, 7)
    found = float(linear_cka(states, other))
    assert 0 <= found <= 1
    assert float(linear_cka(other, states)) == pytest.approx(found, abs=1e-12)
    assert float(linear_cka(states, states)) == pytest.approx(1, abs=1e-12)
    turned = 300 * other @ rotation(7, 3) + 5
    assert float(linear_cka(states, turned)) == pytest.approx(found, abs=1e-8)
    order = torch.randperm(len(states), generator=torch.Generator().manual_seed(1))
    assert float(linear_cka(states[order], other[order])) == pytest.approx(found, abs=1e-9)


def test_cka_by_hand() -> None:
    # Centred already: X^T X = diag(2, 2), Y^T Y = 2, Y^T X = (2, 0).
    x = [[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]]
    y = [[1.0], [-1.0], [0.0], [0.0]]
    assert float(linear_cka(x, y)) == pytest.approx(4 / (math.sqrt(8) * 2))
    assert float(linear_cka(y, [[0.0], [0.0], [1.0], [-1.0]])) == 0


@pytest.mark.parametrize(
    ("tokens", "hidden_size", "within"), [(3, 2, 0.06), (8, 4, 0.03), (20, 24, 0.01), (300, 64, 0.01)]
)
def test_cka_of_noise(tokens: int, hidden_size: int, within: float) -> None:
    generator = torch.Generator().manual_seed(0)
    draws = max(40, 40_000 // (tokens * hidden_size))
    layers = torch.randn(2, draws, tokens, hidden_size, generator=generator)
    values, defined = linear_cka_of_texts(*(Texts(layer, (tokens,) * draws, 2**-23) for layer in layers))
    assert defined.all()
    mean = float(values.mean())
    assert noise_value("linear_cka", tokens, hidden_size) == pytest.approx(mean, rel=within)


def test_unrelated_states_look_alike_where_tokens_are_fewer_than_dimensions() -> None:
    generator = torch.Generator().manual_seed(0)
    few, many = (torch.randn(2, tokens, 768, generator=generator) for tokens in (40, 4000))
    assert float(linear_cka(*few)) == pytest.approx(0.95, abs=0.01)  # as the card says
    assert float(linear_cka(*many)) == pytest.approx(0.16, abs=0.01)


@laws
@given(representations())
def test_cosine_equals_the_oracle(states: torch.Tensor) -> None:
    other = later_layer(states, states.shape[1])
    x, y = states.double().numpy(), other.numpy()
    cosines = [float(a @ b / np.linalg.norm(a) / np.linalg.norm(b)) for a, b in zip(x, y, strict=True)]
    found = float(mean_cosine_similarity(states, other))
    assert found == pytest.approx(np.mean(cosines), abs=1e-12)
    lengths = torch.arange(1, len(states) + 1)[:, None]
    assert float(mean_cosine_similarity(1e-30 * states.double(), lengths * other)) == pytest.approx(found, abs=1e-9)
    assert float(mean_cosine_similarity(states, -states)) == pytest.approx(-1)


def test_cosine_is_not_centred_and_takes_one_token() -> None:
    assert float(mean_cosine_similarity([[3.0, 4.0]], [[4.0, 3.0]])) == pytest.approx(24 / 25)
    assert float(mean_cosine_similarity([[1.0, 0.0], [1.0, 0.0]], [[0.0, 2.0], [5.0, 0.0]])) == pytest.approx(0.5)


@laws
@given(representations())
def test_change_of_entropy_from_states_and_from_spectra(states: torch.Tensor) -> None:
    other = later_layer(states, 9)
    expected = oracle_entropy(other) - oracle_entropy(states)
    assert float(matrix_entropy_change(states, other)) == pytest.approx(expected, abs=1e-9)
    assert float(matrix_entropy_change(spectrum(states), spectrum(other))) == pytest.approx(expected, abs=1e-9)
    assert float(matrix_entropy_change(spectrum(states), other)) == pytest.approx(expected, abs=1e-9)
    assert float(matrix_entropy_change(other, states)) == pytest.approx(-expected, abs=1e-9)


def test_spectra_decompose_nothing_again(monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = spectrum(torch.randn(6, 4)), spectrum(torch.randn(6, 4))
    monkeypatch.setattr(torch.linalg, "eigvalsh", lambda _: pytest.fail("decomposed for nothing"))
    matrix_entropy_change(one, other)


GOOD = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("bad", "fault"),
    [
        (GOOD[:1], "one token"),
        (torch.ones(5, 3), "equal rows"),
        (torch.zeros(5, 3), "equal rows"),
        (torch.full((5, 3), math.nan), "not finite"),
        (torch.randn(2, 5, 3), "wrong shape"),
        (torch.randn(4, 3), "wrong shape"),
    ],
)
@pytest.mark.parametrize("is_first", [True, False])
def test_degenerate_states_have_no_cka(bad: torch.Tensor, fault: str, is_first: bool) -> None:
    with pytest.raises(RepresentationError) as error:
        linear_cka(*((bad, GOOD) if is_first else (GOOD, bad)))
    assert error.value.fault == fault


def test_rows_that_differ_by_rounding_have_no_cka() -> None:
    rounded = (1 + 1e-3 * GOOD).half().float()
    assert float(linear_cka(GOOD, rounded)) > 0
    with pytest.raises(RepresentationError, match="equal up to rounding"):
        linear_cka(GOOD, rounded, computed_in=torch.float16)


@pytest.mark.parametrize(
    ("bad", "fault", "message"),
    [
        (torch.cat([GOOD[:4], torch.zeros(1, 3)]), "zero state", "state of token 4 of 5"),
        (torch.full((5, 3), math.inf), "not finite", "must be finite"),
        (torch.randn(5, 2), "wrong shape", "the same shape"),
        (torch.randn(4, 3), "wrong shape", "the same shape"),
        (torch.empty(0, 3), "wrong shape", "at least one token"),
    ],
)
def test_states_without_a_cosine(bad: torch.Tensor, fault: str, message: str) -> None:
    with pytest.raises(RepresentationError, match=message) as error:
        mean_cosine_similarity(GOOD, bad)
    assert error.value.fault == fault


def test_entropies_of_other_texts_have_no_change() -> None:
    with pytest.raises(RepresentationError, match="the same tokens, got 5 and 4"):
        matrix_entropy_change(GOOD, spectrum(GOOD[:4]))


def test_gradients_are_finite() -> None:
    after = (GOOD + 0.1 * GOOD.roll(1, 0)).requires_grad_()
    for metric in (linear_cka, mean_cosine_similarity, matrix_entropy_change):
        (gradient,) = torch.autograd.grad(metric(GOOD, after), after)
        assert torch.isfinite(gradient).all()
        assert gradient.any()


@laws
@given(st.lists(representations(), min_size=1, max_size=4), st.integers(1, 60))
def test_several_texts_have_the_values_of_each_alone(texts: list[torch.Tensor], size: int) -> None:
    hidden_size = min(states.shape[1] for states in texts)
    before = [states[:, :hidden_size].double() for states in texts]
    after = [later_layer(states, size) for states in before]
    for alone, together in (
        (linear_cka, linear_cka_of_texts),
        (mean_cosine_similarity, mean_cosine_similarity_of_texts),
    ):
        other = after if alone is linear_cka else [later_layer(states, hidden_size) for states in before]
        values, defined = together(Texts.of(before, 2**-52), Texts.of(other, 2**-52))
        for place, pair in enumerate(zip(before, other, strict=True)):
            try:
                expected = float(alone(*pair))
            except RepresentationError:
                assert not defined[place]
            else:
                assert defined[place]
                assert float(values[place]) == pytest.approx(expected, abs=1e-10)


def test_texts_of_two_hidden_sizes_have_no_cosine() -> None:
    before, after = (Texts.of([torch.randn(4, size), torch.randn(3, size)], 2**-23) for size in (5, 6))
    assert mean_cosine_similarity_of_texts(before, after)[1].tolist() == [False, False]
