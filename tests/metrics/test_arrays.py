"""What the public metrics take, and what they refuse."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

import rankscope as rs
from rankscope.errors import RankscopeError, RepresentationError, SettingsError, UnknownNameError
from rankscope.metrics import unit_rows

HIDDEN = torch.randn(20, 16, generator=torch.Generator().manual_seed(0))
FIRST_TEN = torch.arange(20) < 10
OF_STATES: dict[str, Callable[..., Any]] = {
    "matrix_entropy": rs.matrix_entropy,
    "normalized_matrix_entropy": rs.normalized_matrix_entropy,
    "effective_rank": rs.effective_rank,
    "stable_rank": rs.stable_rank,
    "participation_ratio": rs.participation_ratio,
    "nuclear_norm": rs.nuclear_norm,
    "matrix_nuclear_norm": rs.matrix_nuclear_norm,
    "renyi_entropy": lambda hidden, **given: rs.renyi_entropy(hidden, 2, **given),
}
OF_ONE_TEXT: dict[str, Callable[..., Any]] = {
    "measure": lambda hidden: rs.measure(hidden)["effective_rank"],
    "rotated_matrix_nuclear_norm": rs.rotated_matrix_nuclear_norm,
    "rarefaction_curve": lambda hidden: rs.rarefaction_curve(hidden, [5]),
    "drop_tokens": lambda hidden: rs.drop_tokens(hidden, "first"),
}
every_metric = pytest.mark.parametrize("metric", OF_STATES.values(), ids=OF_STATES)
every_function = pytest.mark.parametrize("function", (OF_STATES | OF_ONE_TEXT).values(), ids=OF_STATES | OF_ONE_TEXT)


@every_metric
def test_a_mask_of_one_text_is_applied(metric: Callable[..., Any]) -> None:
    expected = metric(HIDDEN[:10])
    assert float(expected) != pytest.approx(float(metric(HIDDEN)))
    for mask in (FIRST_TEN, FIRST_TEN.int(), FIRST_TEN.double(), FIRST_TEN.numpy(), FIRST_TEN.tolist()):
        assert torch.equal(metric(HIDDEN, mask=mask), expected)


def test_the_masked_rank_by_its_number() -> None:
    assert float(rs.effective_rank(HIDDEN, mask=FIRST_TEN)) == pytest.approx(7.13, abs=0.005)


@every_function
@pytest.mark.parametrize(
    "convert",
    [
        torch.Tensor.numpy,
        torch.Tensor.tolist,
        list,
        lambda states: [row.numpy() for row in states],
        lambda states: pl.DataFrame(states.numpy()),
        lambda states: states.numpy().astype(">f4"),
        lambda states: states.numpy()[::-1][::-1],
        torch.Tensor.to_sparse,
    ],
    ids=["array", "lists", "list of tensors", "list of arrays", "data frame", "big-endian", "reversed", "sparse"],
)
def test_arrays_and_lists_are_as_good_as_tensors(function: Callable[..., Any], convert: Callable[..., Any]) -> None:
    torch.testing.assert_close(
        function(convert(HIDDEN)).double(), function(HIDDEN).double(), rtol=1e-12, atol=0, check_stride=False
    )


@every_metric
def test_a_batch_of_arrays(metric: Callable[..., Any]) -> None:
    batch, mask = torch.stack([HIDDEN, HIDDEN.flip(0)]), torch.stack([FIRST_TEN, ~FIRST_TEN])
    assert torch.equal(metric(batch.numpy(), mask=mask.tolist()), metric(batch, mask=mask))


def test_read_only_arrays_are_copied() -> None:
    states = HIDDEN.numpy().copy()
    states.flags.writeable = False
    assert float(rs.effective_rank(states)) == float(rs.effective_rank(HIDDEN))


def test_whole_numbers_are_exact() -> None:
    whole = torch.randint(-5, 6, (9, 4), generator=torch.Generator().manual_seed(0))
    assert unit_rows(whole).dtype == torch.float64
    assert torch.equal(rs.matrix_entropy(whole), rs.matrix_entropy(whole.double()))
    assert torch.equal(rs.matrix_entropy(whole.tolist()), rs.matrix_entropy(whole.double()))


@every_function
@pytest.mark.parametrize(
    ("hidden", "message"),
    [
        (torch.tensor(1.0), r"got \(\)"),
        (torch.randn(5), r"got \(5,\)"),
        (torch.randn(2, 3, 4, 5), r"got \(2, 3, 4, 5\)"),
        (torch.randn(5, 0), r"\(5, 0\)"),
        (torch.empty(0), r"\(0,\)"),
        ([], r"\(0,\)"),
        (torch.randn(5, 4, dtype=torch.complex64), "complex64"),
        (torch.ones(5, 4, dtype=torch.bool), "bool"),
        ([["a", "b"], ["c", "d"]], "must be numbers"),
        ([[1.0, 2.0], [3.0]], "cannot convert hidden states to an array of numbers"),
        ([torch.ones(3), torch.ones(2)], r"\(2,\) and \(3,\)"),
        ([[None, 1.0], [2.0, 3.0]], "must be numbers"),
    ],
)
def test_other_shapes_and_kinds_are_refused_in_one_line(
    function: Callable[..., Any], hidden: Any, message: str
) -> None:
    with pytest.raises(RepresentationError, match=message) as caught:
        function(hidden)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("function", OF_ONE_TEXT.values(), ids=OF_ONE_TEXT)
def test_functions_of_one_text_refuse_a_batch(function: Callable[..., Any]) -> None:
    with pytest.raises(RepresentationError, match=r"one text must have shape \(tokens, d\), got \(2, 20, 16\)"):
        function(torch.stack([HIDDEN, HIDDEN]))


@every_metric
@pytest.mark.parametrize(
    ("hidden", "mask", "message"),
    [
        (HIDDEN, torch.ones(10), r"\(20, 16\) must have shape \(20,\), got \(10,\)"),
        (HIDDEN, torch.ones(1, 20), r"got \(1, 20\)"),
        (HIDDEN, torch.ones(20, 16), r"got \(20, 16\)"),
        (HIDDEN[None], torch.ones(20), r"must have shape \(1, 20\), got \(20,\)"),
        (HIDDEN, torch.full((20,), 0.5), r"got 0\.5"),
        (HIDDEN, torch.arange(20), "got 2"),
        (HIDDEN, torch.full((20,), float("nan")), "got nan"),
        (HIDDEN, ["yes"] * 20, "must be numbers"),
        (HIDDEN, torch.zeros(20), r"at least 2 tokens, got hidden states of shape \(0, 16\)"),
        (torch.empty(0, 5, 4), None, "empty"),
    ],
)
def test_masks_that_do_not_fit_are_refused(metric: Callable[..., Any], hidden: Any, mask: Any, message: str) -> None:
    with pytest.raises(RepresentationError, match=message):
        metric(hidden, mask=mask)


def test_a_spectrum_cannot_be_masked() -> None:
    with pytest.raises(RepresentationError, match=r"pass the mask to spectrum\(\)"):
        rs.effective_rank(rs.spectrum(HIDDEN), mask=FIRST_TEN)


def test_unknown_metrics_are_named_and_one_name_is_enough() -> None:
    assert set(rs.measure(HIDDEN, "effective_rank")) == {"effective_rank"}
    with pytest.raises(UnknownNameError, match="did you mean effective_rank"):
        rs.measure(HIDDEN, ["efective_rank"])


def test_cross_entropy_of_arrays_masks_and_left_padding() -> None:
    generator = torch.Generator().manual_seed(0)
    logits, ids = torch.randn(6, 9, generator=generator), torch.randint(9, (6,), generator=generator)
    expected = float(rs.token_cross_entropy(logits[2:], ids[2:]))
    right = torch.tensor([0, 0, 1, 1, 1, 1])
    assert float(rs.token_cross_entropy(logits, ids, right)) == pytest.approx(expected)
    assert float(rs.token_cross_entropy(logits[None], ids[None], right[None])) == pytest.approx(expected)
    assert float(rs.token_cross_entropy(logits.numpy(), ids.tolist(), right.numpy())) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("logits", "ids", "mask", "message"),
    [
        (torch.zeros(5, 4), torch.tensor([0, 1, 2, 3, -100]), None, "from 0 to 3, the last logit, got -100"),
        (torch.zeros(5, 4), torch.tensor([0, 1, 2, 3, 4]), None, "got 4"),
        (torch.zeros(5, 4), torch.zeros(4, dtype=torch.int64), None, r"\(5, 4\) and \(4,\)"),
        (torch.zeros(4), torch.zeros((), dtype=torch.int64), None, r"\(4,\) and \(\)"),
        (torch.zeros(3, 4), torch.zeros(3), None, "must be integers"),
        (torch.zeros(3, 4), torch.zeros(3, dtype=torch.int64), [1, 0, 1], "gap"),
        (torch.zeros(3, 4), torch.zeros(3, dtype=torch.int64), [1, 1], r"got \(2,\)"),
        (torch.full((3, 4), float("nan")), torch.zeros(3, dtype=torch.int64), None, "loss is nan"),
    ],
)
def test_logits_that_have_no_loss_are_refused(logits: Any, ids: Any, mask: Any, message: str) -> None:
    with pytest.raises(RepresentationError, match=message):
        rs.token_cross_entropy(logits, ids, mask)


def test_numbers_of_a_data_set_may_be_lists() -> None:
    untrained, trained = [[2.0, 3.0], [1.0, 2.0]], [1.0, 1.5]
    expected = rs.diff_erank(torch.tensor(untrained).double(), torch.tensor(trained).double())
    assert torch.equal(rs.diff_erank(untrained, trained), expected)
    assert torch.equal(rs.diff_erank(np.array(untrained), np.array(trained)), expected)
    assert rs.reduced_loss(untrained, trained).tolist() == [1.25, 0.25]
    assert float(rs.perplexity(0)) == 1
    assert float(rs.image_reduction_ratio(10, 5)) == 0.5
    assert float(rs.image_text_alignment(10.0, 5.0, 5.0)) == pytest.approx(2 / 3)
    assert rs.image_reduction_ratio([10, 4], np.array([5, 6])).tolist() == [0.5, -0.5]
    states = torch.randn(30, 4, generator=torch.Generator().manual_seed(0))
    rate = rs.modality_integration_rate([states], [states + 3])
    assert float(rs.modality_integration_rate([states.numpy()], [(states + 3).tolist()])) == pytest.approx(float(rate))


@pytest.mark.parametrize(
    "call",
    [
        lambda: rs.diff_erank([1.0, 2.0], [1.0]),
        lambda: rs.diff_erank([1.0], [[1.0]]),
        lambda: rs.reduced_loss([1.0, float("nan")], [1.0, 1.0]),
        lambda: rs.aggregate_effective_rank(torch.tensor(1.0)),
        lambda: rs.aggregate_effective_rank(["a"]),
        lambda: rs.image_reduction_ratio([3.0, 4.0], [2.0]),
        lambda: rs.image_text_alignment(2, 2, "two"),
        lambda: rs.perplexity("low"),
        lambda: rs.modality_integration_rate([], []),
        lambda: rs.modality_integration_rate([HIDDEN], []),
        lambda: rs.modality_integration_rate([HIDDEN], [HIDDEN[:, :3]]),
        lambda: rs.modality_integration_rate([HIDDEN], [HIDDEN * float("nan")]),
        lambda: rs.modality_integration_rate([HIDDEN[0]], [HIDDEN[0]]),
        lambda: rs.rarefaction_curve(HIDDEN, []),
        lambda: rs.rarefaction_curve(HIDDEN, [5], draws=0),
        lambda: rs.drop_tokens(HIDDEN * float("inf"), "massive"),
    ],
)
def test_numbers_that_do_not_fit_together_are_refused(call: Callable[[], Any]) -> None:
    with pytest.raises(RankscopeError) as caught:
        call()
    assert isinstance(caught.value, RepresentationError | SettingsError)
    assert "\n" not in str(caught.value)
