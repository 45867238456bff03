from __future__ import annotations

import io

from rankscope.reports import print_summary

ROW = {
    "model": "owner/[red]model", "dataset": "d", "layer": "last", "texts": 1234, "skipped": 0, "tokens": 56789,
    "effective_rank": 33.049, "normalized_matrix_entropy": 0.55031, "matrix_nuclear_norm": None, "loss": 2.95149,
}  # fmt: skip
TWIN = {"effective_rank_untrained": 8.764, "diff_erank": -24.285}


def printed(*rows: dict) -> list[str]:
    stream = io.StringIO()
    print_summary(rows, stream)
    return stream.getvalue().splitlines()


def test_rounded_and_aligned() -> None:
    heading, one, other = printed(ROW | TWIN, ROW | TWIN | {"model": "m", "diff_erank": 5.0})
    numbers = "1,234 56,789 8.76 → 33.05 -24.29 0.5503 – 2.951"
    assert one.split() == ["owner/[red]model", "d", *numbers.split()]
    assert one.index("33.05") + 5 == other.index("33.05") + 5 == heading.index("trained", heading.index("→")) + 7
    assert other.index("5.00") + 4 == one.index("-24.29") + 6


def test_without_twins() -> None:
    heading, row = printed(ROW)
    assert "untrained" not in heading
    assert "Diff-eRank" not in heading
    assert row.split()[4] == "33.05"


def test_layers_and_skips_are_mentioned_where_they_matter() -> None:
    assert "layer" not in printed(ROW)[0]
    lines = printed(ROW | {"layer": "3", "skipped": 6})
    assert "layer" in lines[0]
    assert lines[-1].startswith("owner/[red]model on d, layer 3: 6 of 1240 texts skipped")


def test_a_narrow_file_does_not_cut_names() -> None:
    name = "an-organisation-with-a-long-name/a-model-with-a-longer-name-still-7b-instruct-v0.3"
    assert name in "\n".join(printed(ROW | TWIN | {"model": name}))
