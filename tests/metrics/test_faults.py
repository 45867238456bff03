from __future__ import annotations

import torch

from rankscope.metrics.rows import Texts, exact_unit_rows

EPS = torch.finfo(torch.float32).eps


def test_faults_hold_what_a_message_needs() -> None:
    bad = torch.randn(6, 4)
    bad[3, 2], bad[5, 0] = float("inf"), float("nan")
    texts = Texts.of([bad, torch.zeros(5, 4), torch.randn(6, 4)], EPS)
    _, faults = exact_unit_rows(texts)
    columns = faults.columns.tolist()
    assert columns[0] == [1, 0, 2, 3 * 4 + 2, float("inf")]
    assert "but 2 of 24 values" in str(faults.error(0, columns[0]))
    assert "inf at token 3, feature 2" in str(faults.error(0, columns[0]))
    assert columns[1][:2] == [2, 1]
    assert "all 5 rows" in str(faults.error(1, columns[1]))
    assert faults.error(2, columns[2]) is None
