from __future__ import annotations

import pytest

from rankscope.statistics.multiplicity import holm


def test_holms_procedure_by_hand() -> None:
    # 0.01 is below 0.05 / 3; 0.03 is not below 0.05 / 2, and so 0.04 keeps that level.
    found = holm([0.04, None, 0.01, 0.03])
    assert [level for level, _ in found] == pytest.approx([0.025, 0.05, 0.05 / 3, 0.025])
    assert found[1][1] is None
    assert [value for _, value in found if value is not None] == pytest.approx([0.06, 0.03, 0.06])
    assert [value for _, value in holm([0.02, 0.9])] == pytest.approx([0.04, 0.9])
    assert holm([]) == []
