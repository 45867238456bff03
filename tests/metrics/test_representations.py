"""Texts that are looked at together have the numbers and the errors that each has alone."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rankscope.errors import RepresentationError
from rankscope.metrics import Representations, spectrum, unit_rows
from rankscope.metrics.decomposition import Decompositions
from rankscope.metrics.representations import representations_of
from rankscope.metrics.table import ONE_LAYER, metrics_that_read

METRICS = metrics_that_read(*ONE_LAYER)
laws = settings(max_examples=40, deadline=None, derandomize=True)

DEGENERATE = {
    "one token": lambda d: torch.ones(1, d),
    "equal rows": lambda d: torch.full((6, d), 0.3),
    "zero": lambda d: torch.zeros(5, d),
    "not finite": lambda d: torch.randn(4, d).index_fill(0, torch.tensor([2]), float("nan")),
    "row at the mean": lambda d: torch.stack([torch.ones(d), -torch.ones(d), torch.zeros(d)]),
}


def text(tokens: int, hidden_size: int, seed: int) -> torch.Tensor:
    return torch.randn(tokens, hidden_size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def numbers_of(found: Representations) -> dict[int, dict[str, float]]:
    """All metrics of one layer, by the place of the text."""
    waiting = Decompositions(torch.float64)
    found.decompose(waiting)
    waiting.run()
    by_place: dict[int, dict[str, float]] = {}
    for part in found.parts:
        if part.faults is not None:
            found.note(part.places, part.faults, part.faults.columns.tolist())
        for metric in METRICS:
            for place, number in zip(part.places, part.number(metric).tolist(), strict=True):
                by_place.setdefault(place, {})[metric.name] = number
    return {place: numbers for place, numbers in by_place.items() if place not in found.errors}


def alone(hidden: torch.Tensor) -> dict[str, float] | str:
    found = Representations([hidden], dtype=torch.float64)
    numbers = numbers_of(found)
    return found.errors[0].fault + ": " + str(found.errors[0]) if found.errors else numbers[0]


@pytest.fixture(params=["at once", "later"])
def reading(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Faults are read at once, as on a CPU, or with the numbers, as on an accelerator."""
    if request.param == "later":
        monkeypatch.setattr("rankscope.metrics.devices.read_at_once", lambda _: False)
    return str(request.param)


def check(texts: list[torch.Tensor]) -> None:
    found = Representations(texts, dtype=torch.float64)
    together = numbers_of(found)
    for place, one in enumerate(texts):
        expected = alone(one)
        if isinstance(expected, str):
            assert f"{found.errors[place].fault}: {found.errors[place]}" == expected
            assert place not in together
        else:
            assert together[place] == pytest.approx(expected, abs=1e-10, rel=1e-10)
    assert found.zero == {place for place, one in enumerate(texts) if len(one) > 1 and not one.any()}


@pytest.mark.parametrize("hidden_size", [3, 8, 21])
@pytest.mark.parametrize("lengths", [(8, 8, 8), (5, 21, 8, 2), (30, 21, 25), (3, 40)])
def test_together_as_alone(reading: str, hidden_size: int, lengths: tuple[int, ...]) -> None:
    check([text(tokens, hidden_size, seed) for seed, tokens in enumerate(lengths)])


@laws
@given(st.lists(st.integers(2, 24), min_size=1, max_size=5), st.integers(2, 16), st.data())
def test_degenerate_texts_leave_the_others_alone(lengths: list[int], hidden_size: int, data: st.DataObject) -> None:
    texts = [text(tokens, hidden_size, seed) for seed, tokens in enumerate(lengths)]
    for _ in range(data.draw(st.integers(1, 3))):
        kind = data.draw(st.sampled_from(sorted(DEGENERATE)))
        texts.insert(data.draw(st.integers(0, len(texts))), DEGENERATE[kind](hidden_size).double())
    check(texts)


@pytest.mark.parametrize("kind", sorted(DEGENERATE))
def test_each_degenerate_text_between_others(reading: str, kind: str) -> None:
    check([text(9, 7, 0), DEGENERATE[kind](7).double(), text(4, 7, 1)])


def test_unit_rows_of_a_batch_are_those_of_each_text() -> None:
    texts = [text(9, 6, 0), text(4, 6, 1)]
    (part,) = Representations(texts).parts
    assert part.rows is not None
    for place, one in enumerate(texts):
        torch.testing.assert_close(part.rows.text(place), unit_rows(one), atol=1e-15, rtol=0)
    assert not part.rows.rows[1, 4:].any()


def test_a_batch_names_the_text_at_fault_and_one_text_does_not() -> None:
    with pytest.raises(RepresentationError, match="^all 6 rows"):
        representations_of(torch.ones(6, 3)).refuse()
    with pytest.raises(RepresentationError, match="^text 1 of the batch: all 6 rows"):
        representations_of(torch.stack([text(6, 3, 0).float(), torch.ones(6, 3)])).refuse()


def test_states_and_rows_are_let_go_of() -> None:
    found = Representations([text(9, 6, 0)])
    waiting = Decompositions()
    found.decompose(waiting)
    found.release()
    assert not found.states
    assert found.parts[0].rows is None
    waiting.run()
    of_text = found.spectrum_of(0)
    assert of_text is not None
    torch.testing.assert_close(of_text.eigenvalues, spectrum(text(9, 6, 0)).eigenvalues)


def test_rounding_of_the_forward_pass_counts() -> None:
    nearly = torch.ones(6, 4) + torch.arange(6)[:, None] * 1e-2
    assert not Representations([nearly]).errors
    assert Representations([nearly], computed_in=torch.bfloat16).errors[0].fault == "equal rows"
