from __future__ import annotations

import io
from dataclasses import asdict

from rankscope.reports import GrowingTable, print_notes, print_summary, print_table
from rankscope.runs import Difference
from rankscope.statistics import Note
from rankscope.tables import checkpoints_table, differences_table, trajectory_table

ROW = {
    "model": "owner/[red]model", "dataset": "d", "layer": "last", "texts": 1234, "skipped": 0, "tokens": 56789,
    "effective_rank": 33.049, "normalized_matrix_entropy": 0.55031, "matrix_nuclear_norm": None, "loss": 2.95149,
}  # fmt: skip
TWIN = {
    "effective_rank_untrained": 134.651, "diff_erank": 101.602, "diff_erank_low": 87.68, "diff_erank_high": 117.05,
    "effective_rank_over_noise": 0.1449,
}  # fmt: skip


def printed(*rows: dict) -> list[str]:
    stream = io.StringIO()
    print_summary(rows, stream)
    return stream.getvalue().splitlines()


def test_rounded_and_aligned() -> None:
    heading, one, other = printed(ROW | TWIN, ROW | TWIN | {"model": "m", "diff_erank": 5.0})
    numbers = "1,234 56,789 134.65 → 33.05 101.60 87.68 to 117.05 14% 0.5503 – 2.951"
    assert one.split() == ["owner/[red]model", "d", *numbers.split()]
    assert one.index("33.05") + 5 == other.index("33.05") + 5 == heading.index("trained", heading.index("→")) + 7
    assert other.index("5.00") + 4 == one.index("101.60") + 6


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


def test_differences_are_rounded_by_their_interval() -> None:
    one = Difference(
        dataset="d", layer="last", metric="loss", reference="a/b", model="c/d", reference_value=2.98765,
        model_value=3.12345, difference=0.1358, low=0.1212, high=0.1504, p_value=0.0001, texts=48,
    )  # fmt: skip
    stream = io.StringIO()
    print_table(differences_table([asdict(one), asdict(one) | {"metric": "diff_erank", "p_value": None}]), stream)
    _, first, second, caption = stream.getvalue().splitlines()
    expected = "c/d d last loss 2.988 3.123 +0.136 +0.121 to +0.150 0.0001 48"
    assert first.split() == expected.split()
    assert second.split()[-2:] == ["–", "48"]
    assert "differences from a/b" in caption


def test_notes_are_a_line_each() -> None:
    stream = io.StringIO()
    print_notes([Note("few-texts", "fewer than 30 texts", ("m | d | last",), {})], stream)
    assert stream.getvalue() == "note few-texts: fewer than 30 texts\n"


def test_a_trajectory_has_bars_that_follow_the_rank() -> None:
    rows = [{"model": f"m@{step}", "loss": 5.0, "effective_rank": float(step)} for step in (10, 20)]
    stream = io.StringIO()
    print_table(trajectory_table(rows, [1, 1000]), stream)
    _, first, second = stream.getvalue().splitlines()
    assert (first.count("█"), second.count("█")) == (12, 24)
    assert second.split()[:3] == ["m@20", "1,000", "5.000"]


def test_rows_that_come_one_after_another_stand_below_one_heading_until_a_column_widens() -> None:
    stream = io.StringIO()
    table = GrowingTable(checkpoints_table, stream)
    for steps in ((10,), (20, 30), (100_000,)):
        table.print([ROW | {"checkpoint": f"step-{step:06}", "step": step} for step in steps])
    lines = stream.getvalue().splitlines()
    assert [line.split()[0] for line in lines] == [
        "checkpoint", "step-000010", "step-000020", "step-000030", "checkpoint", "step-100000",
    ]  # fmt: skip
    assert lines[0].index("loss") + 4 == lines[1].index("2.951") + 5 == lines[3].index("2.951") + 5
    assert lines[4].index("loss") + 4 == lines[5].index("2.951") + 5 > lines[0].index("loss") + 4
