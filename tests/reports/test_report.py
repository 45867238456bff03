from __future__ import annotations

import json
import shutil
from pathlib import Path

import polars as pl
import pytest

import rankscope as rs
from made_up import renamed, without_eigenvalues, written
from rankscope.errors import RunFolderError, SettingsError
from rankscope.reports import build_report
from rankscope.reports.model_card import model_card_of
from rankscope.tables import headline_table
from tiny import SENTENCES
from tiny_gguf import save_gguf

pytestmark = pytest.mark.slow


def headings(*runs: rs.Run) -> list[str]:
    return [section.heading for section in build_report(*runs).sections]


def test_what_each_kind_of_run_is_shown_as(runs: dict[str, rs.Run], alignment: rs.Run) -> None:
    single, sizes, training = (build_report(runs[name]) for name in ("single", "sizes", "training"))
    assert list(single.figures()) == ["rank_by_model", "spectra", "distribution", "rank_against_length"]
    assert list(single.tables()) == ["summary", "metrics"]
    assert list(sizes.figures()) == [
        "rank_by_layer", "spectra", "distribution", "rank_against_length", "diff_erank_against_hidden_size",
        "diff_erank_against_loss", "differences",
    ]  # fmt: skip
    assert list(sizes.tables()) == ["summary", "layers", "metrics", "correlations", "differences"]
    assert [row["layer"] for row in sizes.tables()["summary"].rows] == ["last"] * 3
    assert len(sizes.tables()["layers"].rows) == len(runs["sizes"].summary_rows())
    assert len(sizes.tables()["metrics"].rows) == len(runs["sizes"].summary_rows())
    assert {"rank_through_training", "loss_through_training"} <= set(training.figures())
    assert [row["step"] for row in training.tables()["training"].rows] == [0, 128, 512, 2048]
    assert training.sections[-1].remarks == []
    assert list(build_report(alignment).figures()) == ["alignment_ranks"]
    drawn = str(build_report(alignment).figures()["alignment_ranks"].chart.to_dict())
    assert "pico-vlm (shuffled images)" in drawn
    assert "(base" not in drawn


def test_a_model_without_a_step_is_named_beside_the_training(runs: dict[str, rs.Run], tmp_path: Path) -> None:
    report = build_report(renamed(runs["training"], tmp_path / "released", {"pico": "owner/model@v2"}))
    assert [row["step"] for row in report.tables()["training"].rows] == [0, 128, 512]
    assert report.sections[-1].remarks[0].endswith("because the reference has no step: owner/model@v2.")


def test_no_figure_without_its_n(runs: dict[str, rs.Run], alignment: rs.Run) -> None:
    for figure in build_report(*runs.values(), alignment).figures().values():
        assert "n = " in figure.caption
        assert " ".join(figure.chart.to_dict()["title"]["subtitle"]) == figure.caption


def test_several_runs_stand_beside_each_other(runs: dict[str, rs.Run], tmp_path: Path) -> None:
    other = renamed(runs["single"], tmp_path / "other", {"pico-0.1m": "owner/model@v2"})
    report = build_report(runs["single"], other)
    assert report.title == "pico-0.1m, owner/model@v2 on stdlib-docs"
    differences = report.tables()["differences"].rows
    assert {row["difference"] for row in differences} == {0}  # the same numbers under another name
    assert len(report.sources) == 2


def test_the_same_model_in_two_runs_is_told_apart_by_their_folders(runs: dict[str, rs.Run], tmp_path: Path) -> None:
    again = renamed(runs["single"], tmp_path / "again", {})
    report = build_report(runs["single"], again)
    assert [row["model"] for row in report.tables()["summary"].rows] == ["pico-0.1m (single)", "pico-0.1m (again)"]
    compared = next(section for section in report.sections if section.heading.startswith("Models compared"))
    assert "the same models with the same settings" in compared.remarks[0]
    assert [row["model"] for row in build_report(again, again).tables()["summary"].rows] == ["pico-0.1m"]


def test_trainings_in_several_runs_stay_apart(runs: dict[str, rs.Run], tmp_path: Path) -> None:
    again = renamed(runs["training"], tmp_path / "again", {})
    found = [heading for heading in headings(runs["training"], again) if "through training" in heading]
    assert found == ["pico through training on stdlib-docs (training)", "pico through training on stdlib-docs (again)"]


def test_a_name_that_two_paths_share_stays_whole(runs: dict[str, rs.Run], tmp_path: Path) -> None:
    other = renamed(runs["sizes"], tmp_path / "x", {"pico-0.1m": "/a/model.gguf", "pico-0.4m": "/b/model.gguf"})
    names = [row["model"] for row in build_report(other).tables()["summary"].rows]
    assert names == ["/a/model.gguf", "/b/model.gguf", "pico-1m"]


def test_notes_come_once(runs: dict[str, rs.Run]) -> None:
    notes = build_report(runs["single"], runs["sizes"]).notes
    assert len({(note.name, note.text) for note in notes}) == len(notes)
    assert "few-texts" in {note.name for note in notes}


def test_a_folder_from_before_eigenvalues_were_kept(runs: dict[str, rs.Run], tmp_path: Path) -> None:
    old = without_eigenvalues(runs["single"], tmp_path / "old")
    report = build_report(old)
    assert "spectra" not in report.figures()
    assert "no eigenvalues" in report.sections[1].remarks[0]
    assert old.summary().equals(runs["single"].summary())


def test_metrics_that_were_not_asked_for_are_not_drawn(tmp_path: Path) -> None:
    models = ["pico@step-0", "pico@step-128"]
    run = rs.evaluate(models, "stdlib-docs", output=tmp_path / "run", limit=3, metrics="loss", untrained_seeds=0)
    report = build_report(run)
    assert "No effective rank" in report.sections[1].remarks[0]
    assert list(report.figures()) == ["differences", "loss_through_training"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda run: (run / "manifest.json").unlink(), "contains no manifest.json"),
        (lambda run: (run / "manifest.json").write_text('{"schema": 99}'), "written by another version"),
        (lambda run: (run / "manifest.json").write_text('{"schema": 1}'), "written by another version"),
        (
            lambda run: (run / "manifest.json").write_text('{"schema": 1, "identity": {"model": {}}, "sessions": []}'),
            "no run of evaluate or align",
        ),
        (lambda run: (run / "manifest.json").write_text("{"), "is not JSON"),
        (
            lambda run: [(run / "summary.json").unlink(), shutil.rmtree(run / "measurements")],
            "is not finished: .* missing",
        ),
        (lambda run: (run / "summary.json").write_text("{"), "is not JSON"),
        (lambda run: (run / "summary.json").write_text('{"schema": 2, "rows": []}'), "written by another version"),
        (lambda run: (run / "summary.json").write_text('{"schema": 1, "rows": []}'), "nothing was measured"),
        (
            lambda run: (run / "summary.json").write_text('{"schema": 1, "rows": [{"a": 1}]}'),
            r"rows\[0\]\.model is missing",
        ),
        (lambda run: next((run / "measurements").glob("*.parquet")).write_bytes(b"PAR1 half"), "cannot be read"),
        (shutil.rmtree, "is not a run folder"),
    ],
)
def test_broken_and_foreign_folders_are_a_clear_error(
    runs: dict[str, rs.Run], tmp_path: Path, change: object, message: str
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(runs["single"].path, folder)
    change(folder)
    with pytest.raises(RunFolderError, match=message):
        build_report(folder)


def test_a_summary_without_its_measurements_says_so(runs: dict[str, rs.Run], tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(runs["single"].path, folder)
    shutil.rmtree(folder / "measurements")
    report = build_report(folder)
    assert any("no measurements of layer last" in remark for remark in report.sections[1].remarks)
    with pytest.raises(SettingsError, match="at least one"):
        build_report()


def test_models_without_a_common_layer(runs: dict[str, rs.Run], tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(runs["sizes"].path, folder)
    summary = json.loads((folder / "summary.json").read_text())
    keep = {"pico-0.1m": ("0",), "pico-0.4m": ("1", "2"), "pico-1m": ("1",)}
    summary["rows"] = [row for row in summary["rows"] if row["layer"] in keep[row["model"]]]
    (folder / "summary.json").write_text(json.dumps(summary))
    report = build_report(folder)
    assert list(report.figures()) == ["rank_by_layer"]
    assert "have no layer in common" in report.sections[1].remarks[0]


def on_data(run: rs.Run, folder: Path, dataset: str, model: str) -> rs.Run:
    """A copy of a run as if its texts had another name, and its model too."""
    other = renamed(run, folder, {"pico-0.1m": model})
    for file in (folder / "manifest.json", folder / "summary.json"):
        file.write_text(file.read_text().replace("stdlib-docs", dataset))
    for file in folder.rglob("*.parquet"):
        pl.read_parquet(file).with_columns(dataset=pl.lit(dataset)).write_parquet(file)
    return other


def test_no_notes_are_lost_when_runs_are_on_different_data(runs: dict[str, rs.Run], tmp_path: Path) -> None:
    run = runs["single"]
    both = [run, renamed(run, tmp_path / "b", {"pico-0.1m": "owner/b"})]
    others = [on_data(run, tmp_path / name, "other", f"owner/{name}") for name in ("c", "d")]
    rows = {row for note in build_report(*both, *others).notes if note.name == "few-texts" for row in note.rows}
    assert {row.split(" | ")[1] for row in rows} == {"stdlib-docs", "other"}
    alone = {row for note in build_report(*both, others[0]).notes if note.name == "few-texts" for row in note.rows}
    assert {row.split(" | ")[1] for row in alone} == {"stdlib-docs", "other"}


def test_a_notebook_shows_tables(runs: dict[str, rs.Run], alignment: rs.Run, tmp_path: Path) -> None:
    shown = runs["sizes"]._repr_html_()
    assert shown == headline_table(runs["sizes"].summary_rows())._repr_html_()
    assert shown.count("<tr>") == 1 + len(runs["sizes"].summary_rows())
    assert "reduction" in alignment._repr_html_()
    comparison = rs.compare(runs["sizes"], layers=["last"])
    assert comparison._repr_html_().count("<tr>") == 1 + len(comparison.differences)
    unfinished = written(tmp_path / "<i>", [], {})
    (unfinished.path / "summary.json").unlink()
    assert "&lt;i&gt; is not finished" in unfinished._repr_html_()
    figure = build_report(runs["single"]).sections[1].figures[0]
    assert "n = 12 texts" in str(figure._repr_mimebundle_())


def test_only_the_layers_that_are_asked_for_are_compared(runs: dict[str, rs.Run]) -> None:
    every, last = rs.compare(runs["sizes"]).frame(), rs.compare(runs["sizes"], layers=["last"]).frame()
    assert last.equals(every.filter(pl.col("layer") == "last"))
    assert every["layer"].n_unique() > 1


def test_rows_without_twins_stand_beside_rows_with_twins(tmp_path: Path) -> None:
    folder, file = save_gguf(tmp_path)
    (tmp_path / "texts.txt").write_text("\n".join(SENTENCES))
    run = rs.evaluate([str(folder), str(file)], str(tmp_path / "texts.txt"), output=tmp_path / "run", layers="all")
    report = build_report(run)
    compared = next(section for section in report.sections if section.heading.startswith("Models compared"))
    assert compared.remarks == [f"{file} without Diff-eRank: eRank is drawn instead."]
    assert {row["metric"] for row in report.tables()["differences"].rows} >= {"effective_rank", "loss"}
    assert "diff_erank" not in {row["metric"] for row in report.tables()["differences"].rows}
    models = report.sources[0].models
    assert [row["initializer_source"] for row in models.rows] == ["configuration", "unknown"]
    assert "from" in [column.heading for column in models.columns]
    assert "initializer-unknown" in {note.name for note in report.notes}
    alone = rs.evaluate(str(file), str(tmp_path / "texts.txt"), output=tmp_path / "alone")
    assert list(build_report(alone).figures()) == ["rank_by_model", "spectra", "distribution", "rank_against_length"]
    assert "diff_erank" not in model_card_of(alone)


def under(run: rs.Run, folder: Path, names: dict[str, str] | None = None, **settings: object) -> rs.Run:
    """A copy of a run that says that it was made under other settings."""
    other = renamed(run, folder, names or {})
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["identity"]["settings"] |= settings
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return other


def test_one_model_under_two_settings_bears_the_setting_in_its_name(runs: dict[str, rs.Run], tmp_path: Path) -> None:
    report = build_report(runs["single"], under(runs["single"], tmp_path / "again", max_length=60))
    names = ["pico-0.1m (max_length 2048)", "pico-0.1m (max_length 60)"]
    assert [row["model"] for row in report.tables()["summary"].rows] == names
    assert [section.heading for section in report.sections][-1] == "max_length compared on stdlib-docs"
    assert [row["model_setting"] for row in report.tables()["differences"].rows] == ["60"] * 8
    drawn = json.dumps(report.figures()["differences"].chart.to_dict())
    assert "Differences from max_length 2048" in drawn
    assert "settings-differ" in {note.name for note in report.notes}
    for name in ("rank_by_model", "spectra", "distribution"):
        assert all(name_ in json.dumps(report.figures()[name].chart.to_dict()) for name_ in names)


def test_models_under_different_settings_are_not_compared(runs: dict[str, rs.Run], tmp_path: Path) -> None:
    other = under(runs["single"], tmp_path / "o", {"pico-0.1m": "owner/model"}, perturbation="tokens-shuffled")
    report = build_report(runs["single"], other)
    assert "differences" not in report.tables()
    assert not any("against" in name and "length" not in name for name in report.figures())
    remarks = next(part.remarks for part in report.sections if part.heading.startswith("Models compared"))
    assert any("different models and differ in perturbation" in remark for remark in remarks)
    assert [row["model"] for row in report.tables()["summary"].rows] == [
        "pico-0.1m (perturbation none)", "owner/model (perturbation tokens-shuffled)",
    ]  # fmt: skip


def test_rounding_is_a_note_and_no_part_of_the_name(runs: dict[str, rs.Run], tmp_path: Path) -> None:
    other = under(runs["single"], tmp_path / "other", {"pico-0.1m": "owner/model"}, dtype="bfloat16")
    report = build_report(runs["single"], other)
    assert [row["model"] for row in report.tables()["differences"].rows] == ["owner/model"] * 8
    assert "rounding-differs" in {note.name for note in report.notes}


def test_a_training_is_not_drawn_across_settings(runs: dict[str, rs.Run], tmp_path: Path) -> None:
    other = under(runs["training"], tmp_path / "shuffled", perturbation="tokens-shuffled")
    found = [heading for heading in headings(runs["training"], other) if "through training" in heading]
    assert found == [
        "pico through training on stdlib-docs (perturbation none)",
        "pico through training on stdlib-docs (perturbation tokens-shuffled)",
    ]


def test_texts_of_two_tokens_have_no_chart_over_lengths(tmp_path: Path) -> None:
    (tmp_path / "texts.txt").write_text("so it\nin it\nto us\n")
    run = rs.evaluate("pico-0.1m", str(tmp_path / "texts.txt"), output=tmp_path / "run", max_length=2)
    assert "rank_against_length" not in build_report(run).figures()
    assert "distribution" in build_report(run).figures()
