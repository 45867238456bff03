"""All studies, in one loop, on the pico family: what their tables say is held against the runs behind them."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from questions import write_piqa, write_winogrande
from rankscope.errors import CallError, SettingsError, UnknownNameError
from rankscope.reports import write_study
from rankscope.runs import Run, Silent, storage_of
from rankscope.settings import Settings, StudyOptions
from rankscope.studies import STUDIES, Conducted, Request, conduct, measure_shard
from tiny import SENTENCES
from tiny_gguf import save_gguf

pytestmark = pytest.mark.slow

MODELS = ("pico-0.1m", "pico-0.4m", "pico-1m")
LIMIT = 10
NOT_ON_A_REAL_MODEL = {"training", "architectures", "multimodal", "rotation", "compression"}
"""They read checkpoints, several models or images; or measure a hundred networks of that size, which takes minutes."""


def options_of(name: str, folder: Path) -> StudyOptions:
    models, data = MODELS, ("stdlib-docs",)
    if name == "benchmarks":
        return StudyOptions(models, (write_piqa(folder), write_winogrande(folder)))
    if name == "families":
        return StudyOptions((*MODELS, "pico-3m", "pico"), data, tasks=(write_piqa(folder),))
    if name == "architectures":
        return StudyOptions(("pico-0.1m", "pico-llama"), data)
    if name == "training":
        return StudyOptions(("pico",), data, tasks=(write_piqa(folder),))
    if name in ("perturbations", "prompts", "timing"):
        return StudyOptions(MODELS[:2], data)
    if name == "compression":
        return StudyOptions(MODELS[:1], data)
    if name in ("multimodal", "rotation"):
        return StudyOptions(("pico-vlm",), ("drawn-scenes",))
    if name == "responses":
        board = folder / "board.csv"
        board.write_text("name,wins\npico-0.1m,10\npico-0.4m,20\npico-1m,30\n")
        prompts = folder / "prompts.jsonl"
        lines = [json.dumps({"id": str(n), "prompt": f"Say what {n} is, and why."}) + "\n" for n in range(LIMIT)]
        prompts.write_text("".join(lines))
        more = {"judge": "pico-3m", "max_new_tokens": 24, "leaderboard": board, "leaderboard_column": "wins"}
        return StudyOptions(MODELS, (str(prompts),), **more)
    return StudyOptions(models, data)


@pytest.fixture(scope="module")
def conducted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Conducted]:
    found = {}
    for name in STUDIES:
        folder = tmp_path_factory.mktemp(name)
        field = "prompt" if name == "responses" else None
        settings = Settings(limit=LIMIT, field=field)
        found[name] = conduct(name, options_of(name, folder), output=folder / "study", settings=settings)
        write_study(found[name])
    return found


@pytest.mark.parametrize("name", sorted(set(STUDIES) - NOT_ON_A_REAL_MODEL))
def test_a_real_model_goes_through(name: str, smollm2_folder: Path, tmp_path: Path) -> None:
    options = replace(options_of(name, tmp_path), models=(str(smollm2_folder),))
    if name == "responses":
        options = replace(options, judge="pico-3m", leaderboard=None, leaderboard_column=None, max_new_tokens=8)
    # Making a twin of this size takes seconds: one study has it made.
    seeds = 1 if name == "scaling" or "untrained_seeds" in STUDIES[name].decides else 0
    field = "prompt" if name == "responses" else None
    settings = Settings(limit=2, field=field, max_length=64, untrained_seeds=seeds)
    one = conduct(name, options, output=tmp_path / "study", settings=settings)
    rows = one.findings.table
    assert rows.height >= 1
    if name == "responses":
        assert set(rows["judge"]) == {"itself", "pico-3m"}
        return
    assert set(rows["model"]) == {str(smollm2_folder)}
    assert set(rows["family"]) == {"llama"}
    assert set(rows["parameters"]) == {134_515_008}
    assert set(rows["hidden_size"]) == {576}
    files = write_study(one)
    assert smollm2_folder.name in (one.request.folder / "table.md").read_text()
    assert all((one.request.folder / file).stat().st_size for file in files)


def table(conducted: dict[str, Conducted], name: str) -> pl.DataFrame:
    return conducted[name].findings.table


def summary(conducted: dict[str, Conducted], name: str, run: str) -> pl.DataFrame:
    return Run(conducted[name].request.folder / "runs" / run).summary()


@pytest.mark.parametrize("name", STUDIES)
def test_every_study_leaves_its_files(conducted: dict[str, Conducted], name: str) -> None:
    one = conducted[name]
    folder = one.request.folder
    rows = list(csv.DictReader(io.StringIO((folder / "table.csv").read_text())))
    assert len(rows) == one.findings.table.height
    key = next(key for key in one.study.columns if one.findings.table.schema.get(key) == pl.Float64)
    assert [float(row[key]) for row in rows if row[key]] == one.findings.table[key].drop_nulls().to_list()
    markdown = (folder / "table.md").read_text().splitlines()
    assert len([line for line in markdown if line.startswith("|")]) == one.findings.table.height + 2
    latex = (folder / "table.tex").read_text()
    assert latex.count(r"\\") == one.findings.table.height + 1
    assert r"\toprule" in latex
    paragraph = (folder / "paragraph.md").read_text()
    assert paragraph.startswith(one.study.question)
    for sentence in one.findings.sentences:
        assert sentence in paragraph
    for note in one.findings.notes:
        assert note.name in paragraph
    assert (folder / "figure.svg").read_text().startswith("<svg")
    assert "vegaEmbed" in (folder / "figure.html").read_text()
    content = json.loads((folder / "study.json").read_text())
    assert (content["study"], len(content["rows"])) == (name, one.findings.table.height)
    assert content["sentences"] == list(one.findings.sentences)


def test_scaling_is_the_run_behind_it(conducted: dict[str, Conducted]) -> None:
    rows, behind = table(conducted, "scaling"), summary(conducted, "scaling", "scaling")
    assert rows["model"].to_list() == list(MODELS)
    assert rows["parameters"].to_list() == [103_712, 397_520, 1_055_488]
    assert rows["diff_erank"].to_list() == behind["diff_erank"].to_list()
    assert not [name for name in rows.columns if name.endswith("_published")]
    said = conducted["scaling"].findings.sentences[0]
    for value in (rows["diff_erank"][0], rows["diff_erank"][2]):
        assert f"{value:.2f}" in said
    assert f"{rows['effective_rank_untrained'][2] - rows['effective_rank_untrained'][0]:+.2f}" in said


def test_benchmarks_have_accuracy_beside_the_same_questions(conducted: dict[str, Conducted]) -> None:
    rows = table(conducted, "benchmarks")
    assert rows.select("dataset", "texts").unique().sort("dataset").rows() == [("piqa", 6), ("winogrande", 4)]
    kept = json.loads((conducted["benchmarks"].request.folder / "accuracy" / "pico-1m_piqa.json").read_text())[
        "accuracy"
    ]
    row = rows.filter(pl.col("model") == "pico-1m", pl.col("dataset") == "piqa").row(0, named=True)
    assert row["accuracy"] == kept["accuracy"]
    assert row["items"] == 6
    # Wilson's interval, worked out by hand: centre and half-width of k right answers of n.
    k, n, z = round(row["accuracy"] * 6), 6, 1.959963984540054
    centre = (k + z * z / 2) / (n + z * z)
    half = z / (n + z * z) * math.sqrt(k * (n - k) / n + z * z / 4)
    assert (row["accuracy_low"], row["accuracy_high"]) == pytest.approx((centre - half, centre + half))


def test_families_correlate_with_mean_accuracy(conducted: dict[str, Conducted]) -> None:
    rows = table(conducted, "families")
    assert rows.height == 5
    found = conducted["families"].findings.more["correlations"]
    spearman = found.filter(pl.col("metric") == "loss", pl.col("method") == "spearman", pl.col("given").is_null())
    if rows["accuracy"].n_unique() > 1:
        by_hand = rows.select(pl.corr("loss", "accuracy", method="spearman")).item()
        assert spearman["value"].item() == pytest.approx(by_hand)
        assert spearman["models"].item() == 5
    assert found["given"].null_count() == found.height  # of five models too few to hold hidden size fixed
    assert "held fixed: at least 6 are needed" in " ".join(conducted["families"].findings.sentences)


def test_aggregation_is_jensens_inequality(conducted: dict[str, Conducted]) -> None:
    rows = table(conducted, "aggregation")
    assert (rows["effective_rank_b"] >= rows["effective_rank"]).all()
    assert (rows["b_over_a"] * rows["effective_rank"] - rows["effective_rank_b"]).abs().max() < 1e-9


def test_layers_name_the_papers_three(conducted: dict[str, Conducted]) -> None:
    rows = table(conducted, "layers").filter(pl.col("model") == "pico-1m")
    assert rows["layer"].to_list() == ["0", "1", "2", "3", "last"]
    assert rows["called"].to_list() == [None, "first", "middle", None, "last"]
    assert rows["depth"].to_list() == [0, 0.25, 0.5, 0.75, 1]
    last = table(conducted, "scaling").filter(pl.col("model") == "pico-1m")["effective_rank"].item()
    assert rows["effective_rank"][-1] == pytest.approx(last)


def test_training_marks_the_best_and_the_overfitted(conducted: dict[str, Conducted]) -> None:
    rows = table(conducted, "training")
    assert rows["step"].to_list() == [0, 128, 256, 512, 1024, 2048, 2560]
    best = rows["loss"].to_list().index(min(rows["loss"]))
    assert rows["stage"].to_list() == [None] * best + ["best loss", "overfitted"]
    assert rows["model"][best] == "pico"
    assert rows["accuracy"].null_count() == 0
    assert "pico (step 2,048)" in " ".join(conducted["training"].findings.sentences)


def test_sampling_chooses_among_the_measurements(conducted: dict[str, Conducted]) -> None:
    rows = table(conducted, "sampling").filter(pl.col("model") == "pico-0.1m")
    assert rows["size"].to_list() == [10] + [5] * 5  # a tenth of ten is no sample
    assert rows["effective_rank"][0] == summary(conducted, "sampling", "sampling")["effective_rank"][0]
    assert rows["effective_rank"].n_unique() == 6
    spread = conducted["sampling"].findings.more["spread"].filter(pl.col("model") == "pico-0.1m")
    assert spread["effective_rank_sd"].item() == pytest.approx(rows["effective_rank"][1:].std())


def test_timing_adds_up(conducted: dict[str, Conducted]) -> None:
    for row in table(conducted, "timing").rows(named=True):
        assert 0 < row["forward_seconds"] < row["mnn_seconds"]
        assert row["forward_seconds"] < row["entropy_seconds"]
        assert row["forward_seconds"] < row["papers_seconds"]
        assert row["entropy_over_mnn"] == pytest.approx(row["entropy_seconds"] / row["mnn_seconds"])
        assert row["texts"] == LIMIT


def test_lengths_are_those_that_models_have_positions_for(conducted: dict[str, Conducted]) -> None:
    rows = table(conducted, "lengths").filter(pl.col("model") == "pico-0.4m")
    assert rows["length"].to_list()[:2] == [64, 128]
    assert max(rows["length"]) <= 256
    assert (rows["tokens"] == rows["texts"] * rows["length"]).all()
    assert rows["matrix_nuclear_norm_noise"][0] == pytest.approx(math.sqrt(64 / 80), rel=0.05)
    assert "pico-0.4m has 256 positions" in " ".join(conducted["lengths"].findings.sentences)


def test_an_order_of_tokens_leaves_the_embeddings_spectrum(conducted: dict[str, Conducted]) -> None:
    rows = table(conducted, "perturbations").filter(pl.col("condition").str.starts_with("tokens-"))
    embeddings, last = rows.filter(pl.col("layer") == "0"), rows.filter(pl.col("layer") == "last")
    assert embeddings.height == last.height == 6
    assert embeddings["matrix_entropy_difference"].abs().max() < 1e-5
    assert last["matrix_entropy_difference"].abs().min() > 1e-2
    assert (last["loss_difference_low"] > 0).all()


def test_prompts_are_longer_by_their_prefix(conducted: dict[str, Conducted]) -> None:
    rows = table(conducted, "prompts").filter(pl.col("model") == "pico-0.1m")
    base, *others = rows.rows(named=True)
    assert base["condition"] == "none"
    assert base["matrix_nuclear_norm_difference"] is None
    for row in others:
        assert row["tokens_per_text"] > base["tokens_per_text"]
        moved = row["matrix_nuclear_norm"] - base["matrix_nuclear_norm"]
        assert row["matrix_nuclear_norm_difference"] == pytest.approx(moved, abs=1e-9)


def test_responses_are_read_by_the_judge_and_by_their_models(conducted: dict[str, Conducted]) -> None:
    rows = table(conducted, "responses")
    assert sorted(rows["judge"].unique()) == ["itself", "pico-3m"]
    assert rows.group_by("judge").len()["len"].to_list() == [3, 3]
    assert rows["texts"].n_unique() == 1
    assert rows.filter(pl.col("responder") == "pico-1m")["wins"].unique().item() == 30
    found = conducted["responses"].findings.more["correlations"]
    length = found.filter(
        pl.col("metric") == "tokens_per_text", pl.col("method") == "pearson", pl.col("judge") == "pico-3m"
    ).filter(pl.col("given").is_null())
    of_judge = rows.filter(pl.col("judge") == "pico-3m")
    if not length.is_empty():
        by_hand = of_judge.select(pl.corr("tokens_per_text", "wins")).item()
        assert length["value"].item() == pytest.approx(by_hand)
    assert "were cut off at 24 tokens" in " ".join(conducted["responses"].findings.sentences)


def test_multimodal_and_rotation_are_alignments_with_their_controls(conducted: dict[str, Conducted]) -> None:
    rows = table(conducted, "multimodal")
    assert rows["condition"].to_list() == ["base", "shuffled"]
    base, shuffled = rows.rows(named=True)
    assert base["image_reduction_ratio"] == pytest.approx((base["erank1"] - base["erank2"]) / base["erank1"])
    ranks = [base[f"erank{place}"] for place in (3, 4, 5)]
    assert base["image_text_alignment"] == pytest.approx(sum(ranks) / 3 / max(ranks))
    assert shuffled["loss_change"] == pytest.approx(shuffled["loss"] - base["loss"])
    assert shuffled["loss_change_low"] > 0
    turned = table(conducted, "rotation")
    assert turned["condition"].to_list() == ["base", "rotated-90", "rotated-180", "rotated-270"]
    assert turned["erank1"][0] == pytest.approx(base["erank1"])
    assert (turned["loss"][1:] > turned["loss"][0]).all()


def test_again_nothing_is_computed_anew(
    conducted: dict[str, Conducted], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def no_weights(*_: object) -> None:
        raise AssertionError("weights were loaded again")

    for module in ("rankscope.models.transformers_backend", "rankscope.studies.accuracy", "rankscope.runs.responses"):
        monkeypatch.setattr(f"{module}.load_model", no_weights)
    for name in ("scaling", "training", "responses"):
        one = conducted[name].request
        again = conduct(name, one.options, output=one.folder, settings=one.settings)
        assert again.findings.table.equals(conducted[name].findings.table)


@pytest.mark.parametrize("name", ["aggregation", "families", "layers", "lengths", "prompts", "sampling"])
def test_numbers_that_were_not_asked_for_are_no_obstacle(name: str, tmp_path: Path) -> None:
    options = StudyOptions(("pico-0.1m", "pico-0.4m"), ("stdlib-docs",))
    if "tasks" in STUDIES[name].options:
        options = replace(options, tasks=("none",))
    one = conduct(name, options, output=tmp_path / "study", limit=3, metrics="loss")
    write_study(one)
    assert one.findings.table["effective_rank"].null_count() == one.findings.table.height


def test_samples_are_of_texts_that_all_could_be_measured_on(tmp_path: Path) -> None:
    data = tmp_path / "texts.jsonl"
    texts = [f"Number {n} is a number between 0 and {n + 1}." for n in range(10)] + ["a", "", "b"]
    data.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    settings = Settings(field="text", untrained_seeds=0)
    one = conduct("sampling", StudyOptions(("pico-0.1m",), (str(data),)), output=tmp_path / "study", settings=settings)
    table = one.findings.table
    assert table["size"].to_list() == [10] + [5] * 5
    assert table["texts"].to_list() == [10] + [5] * 5
    assert one.findings.more["spread"]["samples"].to_list() == [5]


def test_given_responses_are_the_judges_to_read(tmp_path: Path) -> None:
    file, board = tmp_path / "given.jsonl", tmp_path / "board.csv"
    lines = [
        {"model": model, "id": n, "response": f"{model} says that {n} comes before {n + 1}."}
        for model in ("org/a", "org-a", "x" * 300)
        for n in range(3)
    ]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    board.write_text("name,wins,loss\norg/a,1,2\norg-a,2,3\n")
    options = StudyOptions(responses=file, judge="pico-0.1m", leaderboard=board, leaderboard_column="wins")
    one = conduct("responses", options, output=tmp_path / "study")
    write_study(one)
    assert one.request.models == ("pico-0.1m",)
    assert dict(one.findings.table.select("responder", "wins").rows()) == {"org/a": 1, "org-a": 2, "x" * 300: None}
    for wrong, said in (
        (replace(options, leaderboard_column=None), "together"),
        (replace(options, leaderboard_column="losses"), "no column 'losses'"),
        (replace(options, leaderboard_column="loss"), "same name as a result"),
        (replace(options, models=("pico",)), "models and data cannot be combined with --responses"),
        (replace(options, judge=None), "--judge MODEL is required with --responses"),
    ):
        with pytest.raises(CallError, match=said):
            conduct("responses", wrong, output=tmp_path / "study")


def test_given_responses_leave_no_prompts_to_choose(tmp_path: Path) -> None:
    options = StudyOptions(responses=tmp_path / "given.jsonl", judge="pico-0.1m")
    with pytest.raises(SettingsError, match="field, sample_seed: for prompts only"):
        conduct("responses", options, output=tmp_path / "study", field="prompt", sample_seed=1, limit=2)


def test_prompts_are_chosen_once(tmp_path: Path) -> None:
    prompts = tmp_path / "prompts.jsonl"
    prompts.write_text("".join(json.dumps({"id": n, "prompt": f"What is {n}?"}) + "\n" for n in range(6)))
    options = StudyOptions(("pico-0.1m",), (str(prompts),), max_new_tokens=8)
    settings = Settings(field="prompt", limit=3, sample_seed=1)
    one = conduct("responses", options, output=tmp_path / "study", settings=settings)
    assert one.findings.table["texts"].to_list() == [3]


def test_what_a_study_decides_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="study lengths sets window itself"):
        conduct("lengths", StudyOptions(("pico",), ("stdlib-docs",)), output=tmp_path, window=32)
    with pytest.raises(SettingsError, match="study scaling does not use judge"):
        conduct("scaling", StudyOptions(("pico",), ("stdlib-docs",), judge="pico"), output=tmp_path)
    with pytest.raises(UnknownNameError, match="did you mean scaling"):
        conduct("scalin", output=tmp_path)
    with pytest.raises(UnknownNameError, match="model family"):
        conduct("scaling", StudyOptions(("family:opd",)), output=tmp_path)
    with pytest.raises(SettingsError, match="study rotation sets layers itself or does not use it"):
        conduct("rotation", StudyOptions(("pico-vlm",), ("drawn-scenes",)), output=tmp_path, layers="all")
    with pytest.raises(SettingsError, match="one model at a time"):
        conduct("training", StudyOptions(("pico", "pico-1m"), ("stdlib-docs",)), output=tmp_path)
    with pytest.raises(SettingsError, match="duplicate task in piqa, piqa"):
        conduct("families", StudyOptions(("pico",), ("stdlib-docs",), tasks=("piqa", "piqa")), output=tmp_path)
    with pytest.raises(SettingsError, match="training needs checkpoints"):
        conduct("training", StudyOptions(("pico-1m",), ("stdlib-docs",)), output=tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["scaling", "families", "layers", "aggregation", "sampling"])
def test_models_without_twins_go_through(name: str, tmp_path: Path) -> None:
    folder, file = save_gguf(tmp_path)
    (tmp_path / "texts.txt").write_text("\n".join(SENTENCES))
    options = StudyOptions((str(folder), str(file)), (str(tmp_path / "texts.txt"),))
    options = replace(options, tasks=("none",)) if name == "families" else options
    one = conduct(name, options, output=tmp_path / "study", settings=Settings())
    write_study(one)
    rows = one.findings.table.filter(pl.col("model") == str(file))
    assert rows["diff_erank"].null_count() == rows.height > 0
    assert "initializer-unknown" in {note.name for note in one.findings.notes}


@pytest.mark.parametrize(
    ("name", "models"), [("lengths", ("pico-0.1m", "pico-0.4m")), ("prompts", ("pico-0.1m",)), ("training", ("pico",))]
)
def test_shards_of_a_study_are_concluded_without_a_network(
    name: str, models: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = StudyOptions(models, ("stdlib-docs",))
    settings = {"limit": 4, "batch_tokens": 300, "twin_cache": False, "max_length": 128}
    single = conduct(name, options, output=tmp_path / "single", **settings)
    for number in (1, 0):
        folder = measure_shard(name, options, output=tmp_path / "shared", shard=f"{number}/2", **settings)
        assert folder == tmp_path / "shared"
        assert [path.name for path in folder.iterdir()] == ["runs"]

    def no_weights(*_: object) -> None:
        raise AssertionError("weights were loaded again")

    monkeypatch.setattr("rankscope.models.transformers_backend.load_model", no_weights)
    shared = conduct(name, options, output=tmp_path / "shared", **settings)
    assert shared.findings.table.equals(single.findings.table)
    assert shared.findings.sentences == single.findings.sentences


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("responses", "the responses of models"),
        ("timing", "times on one machine"),
        ("rotation", "an alignment (align has --shard)"),
        ("families", "accuracy (--tasks none skips it)"),
        ("benchmarks", "accuracy"),
    ],
)
def test_a_study_that_measures_more_than_evaluations_has_no_shards(name: str, why: str, tmp_path: Path) -> None:
    with pytest.raises(
        SettingsError, match=re.escape(f"study {name} cannot be split into shards: it also measures {why}")
    ):
        measure_shard(name, output=tmp_path / "study", shard="0/2")
    assert not (tmp_path / "study").exists()


def test_every_study_has_shards_or_says_why_not(tmp_path: Path) -> None:
    for study in STUDIES.values():
        models = ("pico", "pico-llama") if study.name == "architectures" else ("pico",)
        options = StudyOptions(models, ("stdlib-docs",), tasks=("none",) if "tasks" in study.options else None)
        request = Request(models, ("stdlib-docs",), Settings(), options, tmp_path, Silent())
        assert bool(study.grids(request)) != bool(study.also_measures(request))


def test_shards_are_measured_and_concluded_by_different_functions(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="use measure_shard for a shard, or omit shard"):
        conduct("scaling", shard="0/2", output=tmp_path)
    with pytest.raises(SettingsError, match="needs a shard, such as shard='0/4'"):
        measure_shard("scaling", output=tmp_path)


def test_a_study_at_an_address_is_the_study_in_a_folder(tmp_path: Path) -> None:
    """Also its accuracy, which is not measured again, and its files, which are written again."""
    options = StudyOptions(("pico-0.1m", "pico-0.4m"), ("stdlib-docs",), tasks=(write_piqa(tmp_path),))
    here = conduct("families", options, output=tmp_path / "study", limit=3)
    address = f"memory://studies/{tmp_path.name}"
    there = conduct("families", options, output=address, limit=3)
    assert there.findings.table.equals(here.findings.table)
    storage = storage_of(address)
    storage.write("table.md", b"of an earlier time")
    assert write_study(there) == write_study(here)
    names = {name for name in storage.names("") if not name.startswith("runs/")}
    kept = {
        path.relative_to(tmp_path / "study").as_posix() for path in (tmp_path / "study").rglob("*") if path.is_file()
    }
    assert names == {name for name in kept if not name.startswith("runs/")}
    for name in ("table.csv", "table.md", "table.tex", "paragraph.md", "study.json", "correlations.csv"):
        assert storage.read(name) == (tmp_path / "study" / name).read_bytes()
    assert conduct("families", options, output=address, limit=3).findings.table.equals(here.findings.table)


def test_responses_stay_on_this_machine() -> None:
    with pytest.raises(SettingsError, match="an object store cannot be used for study responses"):
        conduct("responses", StudyOptions(("pico",), ("stdlib-docs",)), output="memory://studies/responses")
