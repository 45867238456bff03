from __future__ import annotations

import io
from typing import Any

from rankscope.reports import print_alignment

BASE: dict[str, Any] = {
    "model": "m", "dataset": "d", "control": "base", "texts": 1200, "skipped": 3,
    "erank1": 18.336, "erank2": 11.284, "erank3": 45.6, "erank4": 74.214, "erank5": 76.0,
    "image_reduction_ratio": 0.38459, "image_reduction_ratio_low": 0.37, "image_reduction_ratio_high": 0.4,
    "image_text_alignment": 0.8566, "modality_integration_rate": 3.3744, "loss": None,
}  # fmt: skip


def printed(rows: list[dict[str, Any]]) -> str:
    stream = io.StringIO()
    print_alignment(rows, stream)
    return stream.getvalue()


def test_a_line_for_each_model_with_rounded_numbers() -> None:
    heading, line, *rest = printed([BASE]).splitlines()
    assert heading.split()[:4] == ["model", "data", "pairs", "1"]
    cells = line.split()
    assert " ".join(cells) == "m d 1,200 18.34 11.28 45.60 74.21 76.00 0.3846 0.3700 to 0.4000 0.8566 – 3.374 –"
    assert "m on d: 3 pairs skipped" in "\n".join(rest)


def test_controls_have_their_changes_in_a_table_of_their_own() -> None:
    turned = BASE | {"control": "rotated-90", "image_reduction_ratio_change": -0.0262, "loss_change": 0.5}
    turned |= {"image_reduction_ratio_change_low": -0.03, "image_reduction_ratio_change_high": -0.02}
    out = printed([BASE, turned])
    assert "images" in out.splitlines()[0]
    changed = next(line for line in out.splitlines() if "-0.0262" in line)
    assert " ".join(changed.split()) == "m d rotated-90 -0.0262 -0.0300 to -0.0200 – – +0.5000 –"
    assert out.count("pairs skipped") == 1


def test_names_are_not_markup() -> None:
    assert "[red]m" in printed([BASE | {"model": "[red]m"}])
