from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from rankscope.reports import study_content, study_figure, study_paragraph, study_table, write_study
from rankscope.runs import Silent
from rankscope.settings import Settings, StudyOptions
from rankscope.statistics import Note
from rankscope.studies import STUDIES, Conducted, Findings, Request
from rankscope.tables import to_markdown

pytestmark = pytest.mark.slow


@pytest.fixture
def conducted(tmp_path: Path) -> Conducted:
    rows = [
        {
            "family": "opt", "model": f"facebook/opt-{size}", "dataset": "dolly-15k", "layer": "last",
            "parameters": parameters, "texts": 500, "diff_erank": ours,
            "diff_erank_low": ours - 0.5, "diff_erank_high": ours + 0.5,
            "diff_erank_published": printed, "loss": 3.1,
        }
        for size, parameters, ours, printed in (("125m", 125 * 10**6, 54.0, 54.35), ("1.3b", 13 * 10**8, 76.0, 76.39))
    ]  # fmt: skip
    note = Note("few-texts", "fewer than 30 texts", (), {})
    findings = Findings(pl.DataFrame(rows), ("Diff-eRank rises.",), (note,))
    models = tuple(row["model"] for row in rows)
    request = Request(models, ("dolly-15k",), Settings(limit=500), StudyOptions(), tmp_path, Silent())
    return Conducted(STUDIES["scaling"], request, findings)


def test_published_stands_beside_ours(conducted: Conducted) -> None:
    table = study_table(conducted)
    headings = [column.heading for column in table.columns]
    place = headings.index("Diff-eRank")
    assert headings[place + 1] == "published"
    assert "perplexity" not in headings  # nothing came out
    row = to_markdown(table).splitlines()[2].split("|")
    assert [cell.strip() for cell in row[place + 1 : place + 3]] == ["54.0", "54.35"]


def test_the_paragraph_says_what_was_asked_what_came_out_and_what_fired(conducted: Conducted) -> None:
    text = study_paragraph(conducted)
    assert text.startswith(STUDIES["scaling"].question)
    assert (
        "Models and data: facebook/opt-125m and facebook/opt-1.3b on dolly-15k, at most the first 500 usable texts."
        in text
    )
    assert "Diff-eRank rises." in text
    assert text.endswith("Notes that fired: few-texts (fewer than 30 texts).")


def test_the_figure_draws_intervals_and_published_values_and_says_n(conducted: Conducted) -> None:
    specification = study_figure(conducted).to_dict()
    (block,) = specification["vconcat"]
    panels = [panel for line in block["vconcat"] for panel in line["hconcat"]]
    assert len(panels) == 2  # Diff-eRank and loss; the other metrics did not come out
    marks = [layer["mark"]["type"] for layer in panels[0]["layer"]]
    assert marks == ["rule", "line", "point", "point"]
    assert panels[0]["layer"][-1]["mark"]["shape"] == "diamond"
    low, high = panels[0]["layer"][0]["encoding"]["y"]["scale"]["domain"]
    assert (low, high) == (53.5, 76.5)  # the ends of the intervals are inside
    assert "n = 500 texts" in str(specification["title"])


def changed_rows(conducted: Conducted, *columns: pl.Series, **expressions: pl.Expr) -> Conducted:
    return replace(
        conducted,
        findings=replace(conducted.findings, table=conducted.findings.table.with_columns(*columns, **expressions)),
    )


def test_a_random_sample_is_called_one(conducted: Conducted) -> None:
    request = replace(conducted.request, settings=Settings(limit=500, sample_seed=3))
    text = study_paragraph(replace(conducted, request=request))
    assert "drawn at random with seed 3, at most 500." in text
    assert "first" not in text


def test_the_paragraph_is_safe_in_a_page(conducted: Conducted) -> None:
    hostile = replace(conducted, request=replace(conducted.request, models=("<script>alert(1)</script>",)))
    write_study(hostile)
    assert "<script>" not in (conducted.request.folder / "paragraph.md").read_text()


def test_models_of_one_name_in_two_folders_stay_apart(conducted: Conducted) -> None:
    names = pl.Series("model", ["/a/checkpoint", "/b/checkpoint"])
    same = changed_rows(conducted, names)
    assert "/a/checkpoint" in to_markdown(study_table(same))
    drawn = str(study_figure(same).to_dict()["vconcat"])
    assert "/a/checkpoint" in drawn
    assert "/b/checkpoint" in drawn


def test_layers_are_drawn_apart(conducted: Conducted) -> None:
    table = conducted.findings.table
    both = pl.concat([table, table.with_columns(layer=pl.lit("0"))])
    blocks = study_figure(replace(conducted, findings=replace(conducted.findings, table=both))).to_dict()["vconcat"]
    assert [block["title"]["text"] for block in blocks] == ["dolly-15k, layer: last", "dolly-15k, layer: 0"]


def test_what_did_not_come_out_is_not_drawn(conducted: Conducted) -> None:
    nothing = pl.lit(None, dtype=pl.Float64)
    second = pl.col("model") == "facebook/opt-1.3b"
    other = changed_rows(
        conducted,
        dataset=pl.when(second).then(pl.lit("other")).otherwise("dataset"),
        loss=pl.when(second).then(nothing).otherwise("loss"),
    )
    blocks = study_figure(other).to_dict()["vconcat"]
    assert [len(block["vconcat"][0]["hconcat"]) for block in blocks] == [2, 1]
    none = changed_rows(conducted, diff_erank=nothing, loss=nothing)
    assert study_figure(none) is None
    assert [name for name in write_study(none) if name.startswith("figure")] == []


def test_json_has_rows_and_notes(conducted: Conducted) -> None:
    content = study_content(conducted)
    assert content["rows"][1]["diff_erank_published"] == 76.39
    assert content["notes"][0]["name"] == "few-texts"
