from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankscope.statistics import holm
from rankscope.statistics.multiplicity import holm_levels

P_VALUES = st.lists(st.floats(0, 1), min_size=1, max_size=12)


def test_an_example_by_hand() -> None:
    # 0.005 x 4; then 0.01 x 3; 0.03 x 2; and 0.04 x 1, which may not be below the one before.
    assert [round(p, 9) for p in holm([0.03, 0.005, 0.04, 0.01])] == [0.06, 0.02, 0.06, 0.03]


def test_one_or_none_stay_as_they_are() -> None:
    assert holm([0.2]) == [0.2]
    assert holm([]) == []


@given(P_VALUES)
def test_between_no_correction_and_bonferronis(p_values: list[float]) -> None:
    adjusted = holm(p_values)
    for p, corrected in zip(p_values, adjusted, strict=True):
        assert p <= corrected <= min(1.0, p * len(p_values) + 1e-12)


@given(P_VALUES, st.floats(0.001, 0.2))
def test_it_rejects_what_the_procedure_rejects(p_values: list[float], alpha: float) -> None:
    """Holm's own wording: go through them from the smallest, and stop at the first above alpha / what is left."""
    rejected = set()
    for step, place in enumerate(sorted(range(len(p_values)), key=lambda place: p_values[place])):
        if p_values[place] * (len(p_values) - step) > alpha:
            break
        rejected.add(place)
    assert {place for place, p in enumerate(holm(p_values)) if p <= alpha} == rejected


def test_levels_by_hand() -> None:
    # 0.01 is below 0.05 / 3; 0.03 is not below 0.05 / 2, and so 0.04 keeps that level.
    found = holm_levels([0.04, None, 0.01, 0.03])
    assert [level for level, _ in found] == pytest.approx([0.025, 0.05, 0.05 / 3, 0.025])
    assert found[1][1] is None
    assert [value for _, value in found if value is not None] == pytest.approx([0.06, 0.03, 0.06])
    assert [value for _, value in holm_levels([0.02, 0.9])] == pytest.approx([0.04, 0.9])
    assert holm_levels([]) == []
