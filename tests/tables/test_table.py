from __future__ import annotations

import csv
import io
from html.parser import HTMLParser

import pytest
from pylatexenc.latexwalker import LatexEnvironmentNode, LatexWalker
from rich.console import Console

from rankscope.tables import Column, Table, digits_of, to_csv, to_html, to_latex, to_markdown, to_terminal

HOSTILE = (
    r"""<script>alert(1)</script> "></td><img onerror=x> a_b & 50% of $x$ #1 {y} ~ ^ \end{tabular} | `c` *d* → é"""
)
TABLE = Table(
    (
        Column("model", "model & name", align="left"),
        Column("texts", "texts"),
        Column("rank", "eRank untrained → trained", digits=2, before="rank_untrained"),
        Column("rank", "95 % interval", digits=2, interval=True),
        Column("share", "of_noise", percent=True),
        Column("loss", "loss", digits=3, aligned=True),
        Column("p", "p", significant=2),
        Column("change", "change", digits=1, sign=True),
        Column("rank", "", bar=True, align="left"),
    ),
    (
        {
            "model": "one", "texts": 1234, "rank": -26.7312345678901, "rank_untrained": 30.0, "rank_low": -27.98,
            "rank_high": -25.48, "share": 0.4049, "loss": 2.5, "loss_low": 1.0, "loss_high": 4.0, "p": 0.00012,
            "change": 3.0,
        },
        {"model": HOSTILE, "texts": 2, "rank": 12.0, "rank_untrained": None, "loss": None, "p": None, "change": -3.0},
    ),
    "100 % of_it",
)  # fmt: skip


def terminal(table: Table) -> list[str]:
    stream = io.StringIO()
    Console(file=stream, width=400, highlight=False).print(to_terminal(table))
    return [line.rstrip() for line in stream.getvalue().splitlines()]


def test_numbers_are_rounded_by_their_interval_or_by_digits() -> None:
    _, one, other, caption = terminal(TABLE)
    assert " ".join(one.split()) == "one 1,234 30.0 → -26.7 -28.0 to -25.5 40% 2.500 0.00012 +3.0"
    assert " ".join(other.removeprefix(HOSTILE).split()) == "2 – → 12.00 – – – – -3.0 " + "█" * 24
    assert caption == "100 % of_it"


@pytest.mark.parametrize(
    ("low", "high", "digits"), [(0, 0, 3), (0, 2.4, 1), (0, 24, 0), (0, 240, 0), (0.1, 0.124, 3), (0, 1e-9, 6)]
)
def test_an_interval_deserves_two_digits_of_its_width(low: float, high: float, digits: int) -> None:
    assert digits_of(low, high) == digits


def test_a_column_can_be_rounded_by_anothers_interval() -> None:
    columns = (Column("value", "v", rounded_by="difference"), Column("difference", "d", sign=True))
    row = {"value": 3.14159, "difference": 0.5, "difference_low": 0.38, "difference_high": 0.62}
    assert terminal(Table(columns, (row,)))[1].split() == ["3.14", "+0.50"]


def test_numbers_that_are_none_show_as_absent() -> None:
    columns = (Column("a", "a"), Column("b", "b"), Column("c", "c", show=lambda _: "shown"))
    row = {"a": float("nan"), "b": float("inf"), "c": 1.0}
    assert terminal(Table(columns, (row,)))[1].split() == ["–", "–", "shown"]


def test_markdown_cells_stay_cells() -> None:
    heading, rule, one, other, _, caption = to_markdown(TABLE).splitlines()
    assert heading.startswith("| model &amp; name | texts | eRank untrained → trained | 95 % interval | of\\_noise |")
    assert rule == "| :-- | --: | --: | --: | --: | --: | --: | --: |"
    assert one == "| one | 1,234 | 30.0 → -26.7 | -28.0 to -25.5 | 40% | 2.500 | 0.00012 | +3.0 |"
    assert "<" not in other
    assert other.replace(r"\|", "").count("|") == one.count("|")
    assert caption == r"100 % of\_it"


def environments(nodes: list, name: str) -> list[LatexEnvironmentNode]:
    found = []
    for node in nodes or []:
        if isinstance(node, LatexEnvironmentNode):
            found += [node] if node.environmentname == name else environments(node.nodelist, name)
    return found


def test_latex_parses_and_text_is_text() -> None:
    latex = to_latex(TABLE)
    nodes, _, _ = LatexWalker(latex, tolerant_parsing=False).get_latex_nodes()
    (tabular,) = environments(nodes, "tabular")
    body = tabular.latex_verbatim()
    for rule in (r"\toprule", r"\midrule", r"\bottomrule"):
        assert body.count(rule) == 1
    assert body.count(r"\\") == 3
    lines = [line for line in body.splitlines() if line.endswith(r"\\")]
    assert {line.replace(r"\&", "").count("&") for line in lines} == {7}
    assert r"30.0 $\rightarrow$ $-$26.7 & $-$28.0 to $-$25.5 & 40\% & 2.500" in lines[1]
    assert r"\textbackslash{}end\{tabular\}" in lines[2]
    assert r"\caption{100 \% of\_it}" in latex
    assert not any(letter in latex for letter in "→–█")
    assert "table" not in to_latex(Table(TABLE.columns, TABLE.rows)).replace("tabular", "")


def test_csv_keeps_every_digit_and_both_ends() -> None:
    heading, one, other = csv.reader(io.StringIO(to_csv(TABLE)))
    assert heading == [
        "model", "texts", "rank_untrained", "rank", "share", "loss", "p", "change",
        "rank_low", "rank_high", "loss_low", "loss_high",
    ]  # fmt: skip
    assert float(dict(zip(heading, one, strict=True))["rank"]) == TABLE.rows[0]["rank"]
    assert dict(zip(heading, one, strict=True))["rank_low"] == "-27.98"
    assert other[0] == HOSTILE
    assert other[2] == ""


class Cells(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.sorted_by: list[str | None] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if "data-value" in dict(attrs):
            self.sorted_by.append(dict(attrs)["data-value"])

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_html_holds_text_and_values_to_sort_by() -> None:
    cells = Cells()
    cells.feed(to_html(TABLE))
    assert set(cells.tags) == {"table", "caption", "thead", "tbody", "tr", "th", "td", "button", "span"}
    assert cells.tags.count("button") == len(TABLE.columns) - 1  # a bar has no heading to press
    assert HOSTILE in cells.texts
    assert cells.sorted_by[:4] == ["one", "1234", "-26.7312345678901", "-27.98"]
    assert cells.sorted_by[-7:-5] == ["12.0", ""]
    assert "<button" not in TABLE._repr_html_()


def test_a_name_does_not_steer_the_terminal() -> None:
    console = Console(width=80, force_terminal=True, color_system=None, record=True, file=io.StringIO())
    console.print(to_terminal(Table((Column("model", "model"),), ({"model": "a\x1b[2Jb"},))))
    assert "\x1b" not in console.export_text(styles=False)
