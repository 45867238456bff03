from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from oracle import oracle_entropy, oracle_spectrum
from rankscope.errors import RepresentationError
from rankscope.metrics import matrix_entropy, spectrum, unit_rows
from strategies import equal_eigenvalues, representations, rotation

laws = settings(max_examples=60, deadline=None, derandomize=True)


@laws
@given(representations())
def test_equals_the_oracle(hidden: torch.Tensor) -> None:
    ours = spectrum(hidden)
    k = min(hidden.shape)
    assert ours.eigenvalues.shape == (k,)
    np.testing.assert_allclose(ours.eigenvalues.numpy(), oracle_spectrum(hidden)[:k], atol=1e-12)
    assert int(ours.tokens) == hidden.shape[0]
    assert ours.hidden_size == hidden.shape[1]


@laws
@given(representations())
def test_float32_arithmetic_stays_within_1e_5_nats_of_the_oracle(hidden: torch.Tensor) -> None:
    # Inputs that float32 can centre: with a large offset the float32 mean itself loses digits.
    hidden = hidden - hidden.mean(dim=0)
    assert abs(float(matrix_entropy(spectrum(hidden, dtype=torch.float32))) - oracle_entropy(hidden)) < 1e-5


@laws
@given(representations())
def test_gram_matrix_and_covariance_have_the_same_spectrum(hidden: torch.Tensor) -> None:
    rows = unit_rows(hidden)
    gram = torch.linalg.eigvalsh(rows @ rows.T / len(rows)).flip(-1)
    covariance = torch.linalg.eigvalsh(rows.T @ rows / len(rows)).flip(-1)
    k = min(hidden.shape)
    torch.testing.assert_close(gram[:k], covariance[:k], atol=1e-12, rtol=0)
    torch.testing.assert_close(spectrum(hidden).eigenvalues, gram[:k].clamp_min(0), atol=1e-12, rtol=0)


@laws
@given(representations(), st.integers(0, 1000), st.sampled_from([1e-18, 1e-3, 7.0, 1e18]))
def test_invariant_to_rotation_permutation_and_scale(hidden: torch.Tensor, seed: int, scale: float) -> None:
    order = torch.randperm(hidden.shape[0], generator=torch.Generator().manual_seed(seed))
    changed = scale * (hidden.double() @ rotation(hidden.shape[1], seed))[order]
    torch.testing.assert_close(spectrum(changed).eigenvalues, spectrum(hidden.double()).eigenvalues, atol=1e-9, rtol=0)


def test_batch_with_mask_equals_one_by_one() -> None:
    torch.manual_seed(0)
    lengths = [5, 9, 3]
    texts = [torch.randn(length, 8) for length in lengths]
    batch = torch.nn.utils.rnn.pad_sequence(texts, batch_first=True, padding_value=float("nan"))
    mask = torch.arange(9)[None] < torch.tensor(lengths)[:, None]
    together = spectrum(batch, mask)
    assert together.tokens.tolist() == lengths
    for index, text in enumerate(texts):
        alone = spectrum(text).eigenvalues
        torch.testing.assert_close(together.eigenvalues[index, : len(alone)], alone, atol=0, rtol=0)
        assert not together.eigenvalues[index, len(alone) :].any()
        assert matrix_entropy(together)[index].item() == pytest.approx(matrix_entropy(text).item(), abs=1e-12)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64])
def test_half_precision_is_raised_before_anything_else(dtype: torch.dtype) -> None:
    torch.manual_seed(1)
    hidden = torch.randn(20, 12).to(dtype)
    assert float(matrix_entropy(hidden)) == pytest.approx(oracle_entropy(hidden), abs=1e-12)


def test_tf32_and_autocast_do_not_touch_it() -> None:
    torch.manual_seed(2)
    hidden = torch.randn(30, 50)
    expected = matrix_entropy(hidden)
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert torch.equal(matrix_entropy(hidden), expected)
    finally:
        torch.set_float32_matmul_precision(before)


def test_gradient_equals_finite_differences_also_where_an_eigenvalue_is_zero() -> None:
    torch.manual_seed(3)
    for tokens, hidden_size in ((5, 9), (9, 5)):
        hidden = torch.randn(tokens, hidden_size, dtype=torch.float64, requires_grad=True)
        assert torch.autograd.gradcheck(matrix_entropy, (hidden,))


@pytest.mark.parametrize(
    ("hidden", "fault", "quoted"),
    [
        (torch.ones(1, 4), "one token", r"\(1, 4\)"),
        (torch.zeros(0, 4), "one token", r"\(0, 4\)"),
        (torch.full((6, 3), 0.1), "equal rows", "all 6 rows"),
        (torch.zeros(6, 3), "equal rows", "all 6 rows"),
        (torch.tensor([[1.0, 2.0], [3.0, 4.0], [2.0, 3.0]]), "row at the mean", "row 2 of 3"),
        (torch.tensor([[1.0, 2.0], [3.0, float("nan")]]), "not finite", "nan at token 1, feature 1"),
        (torch.tensor([[float("inf"), 2.0], [3.0, 1.0]]), "not finite", "inf at token 0, feature 0"),
    ],
)
def test_degenerate_input_is_a_named_error(hidden: torch.Tensor, fault: str, quoted: str) -> None:
    with pytest.raises(RepresentationError, match=quoted) as caught:
        spectrum(hidden)
    assert caught.value.fault == fault
    with pytest.raises(RepresentationError, match="text 1 of the batch"):
        spectrum(torch.stack([torch.randn_like(hidden), hidden])) if len(hidden) > 2 else spectrum(
            torch.randn(2, 3, 2), torch.tensor([[1, 1, 1], [1, 0, 0]])
        )


@pytest.mark.parametrize("offset", [0.1, 1e4])
def test_equal_rows_are_found_whatever_their_size(offset: float) -> None:
    with pytest.raises(RepresentationError, match="equal"):
        unit_rows(torch.full((7, 5), offset))


def test_a_small_signal_on_a_large_offset_survives() -> None:
    torch.manual_seed(4)
    hidden = 1000 + 1e-2 * torch.randn(20, 10, dtype=torch.float64)
    assert float(matrix_entropy(hidden)) == pytest.approx(oracle_entropy(hidden), abs=1e-9)
    with pytest.raises(RepresentationError, match="equal up to rounding"):  # a forward pass in float32 makes as much
        spectrum(hidden, computed_in=torch.float32)


@pytest.mark.parametrize("k", [1, 2, 7, 16])
def test_k_equal_eigenvalues(k: int) -> None:
    values = spectrum(equal_eigenvalues(k)).positive
    torch.testing.assert_close(values[:k], torch.full((k,), 1 / k, dtype=torch.float64))
    assert not values[k:].any()
