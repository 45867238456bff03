"""The whole study on a tiny model with weights large enough to matter: held against networks changed by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from rankscope.errors import CallError, DataError, ModelError, RunFolderError, SettingsError
from rankscope.models import Rounding, find_blocks, linear_layers
from rankscope.reports import write_study
from rankscope.settings import Settings, StudyOptions
from rankscope.studies import Conducted, conduct
from tiny import SENTENCES
from tiny_gguf import save_gguf

pytestmark = pytest.mark.slow

SETTINGS = Settings(field="text", max_length=48)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> str:
    file = tmp_path_factory.mktemp("data") / "texts.jsonl"
    texts = [f"{sentence} {n}" for n in range(2) for sentence in SENTENCES]
    file.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    return str(file)


@pytest.fixture(scope="module")
def done(tiny_folder: Path, data: str, tmp_path_factory: pytest.TempPathFactory) -> Conducted:
    folder = tmp_path_factory.mktemp("study")
    options = StudyOptions((str(tiny_folder),), (data,), remove=2, write=folder / "smaller")
    return conduct("compression", options, output=folder / "study", settings=SETTINGS)


def judged(data: str) -> list[str]:
    lines = [json.loads(line)["text"] for line in Path(data).read_text().splitlines()]
    return [text for place, text in enumerate(lines) if place % 3]


def mean_loss(model: Any, folder: Path, texts: list[str]) -> float:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    losses = []
    for text in texts:
        ids = torch.tensor([tokenizer(text)["input_ids"][:48]])
        with torch.no_grad():
            losses.append(float(model(input_ids=ids, labels=ids).loss))
    return sum(losses) / len(losses)


def test_losses_are_those_of_transformers_on_the_texts_that_do_not_rank(
    done: Conducted, tiny_folder: Path, data: str
) -> None:
    model = AutoModelForCausalLM.from_pretrained(tiny_folder, dtype=torch.float32)
    row = done.findings.table.filter(pl.col("ranking") == "last first", pl.col("removed") == 1).row(0, named=True)
    assert row["blocks"] == "3"
    assert row["texts"] == len(judged(data)) == 10
    assert row["loss"] - row["loss_change"] == pytest.approx(mean_loss(model, tiny_folder, judged(data)), abs=1e-5)
    model.model.layers = model.model.layers[:2]
    model.config.num_hidden_layers = 2
    assert row["loss"] == pytest.approx(mean_loss(model, tiny_folder, judged(data)), abs=1e-5)


def test_what_is_written_loads_in_plain_transformers_with_the_same_loss(done: Conducted, data: str) -> None:
    folder = done.request.options.write
    assert folder is not None
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    assert len(model.model.layers) == model.config.num_hidden_layers == 1
    best = done.findings.table.filter(pl.col("removed") == 2).sort("loss", maintain_order=True).row(0, named=True)
    if best["ranking"] != "random":
        assert mean_loss(model, folder, judged(data)) == pytest.approx(best["loss"], abs=1e-5)
    card = (folder / "README.md").read_text()
    assert f"| loss after | {mean_loss(model, folder, judged(data)):.4f} nats per token |" in card
    for said in ("tiny-llama without 2 of its 3 blocks", "| for ranking | 6 texts", "made with | rankscope"):
        assert said in card
    assert data not in card  # a card is published: no paths of this machine
    assert f"saved in {folder}" in done.findings.sentences[-1]


def test_rounding_is_that_of_weights_rounded_by_hand(done: Conducted, tiny_folder: Path, data: str) -> None:
    model = AutoModelForCausalLM.from_pretrained(tiny_folder, dtype=torch.float32)
    before = mean_loss(model, tiny_folder, judged(data))
    with torch.no_grad():
        for layer in linear_layers(find_blocks(model)):
            weight = layer.get_parameter("weight")
            weight.copy_(Rounding(3).of(weight))
    row = done.findings.more["rounding"].filter(pl.col("scheme") == "by channel", pl.col("bits") == 3)
    by_hand = mean_loss(model, tiny_folder, judged(data)) - before
    assert row["loss_change"].item() == pytest.approx(by_hand, abs=1e-5)
    assert done.findings.more["rounding"].height == 12
    assert done.findings.more["rounding_layers"].height == 12 * 4


def test_each_block_alone_is_the_ranking_with_one_block(done: Conducted) -> None:
    scores = done.findings.more["scores"]
    assert scores["block"].to_list() == [1, 2, 3]
    last = done.findings.table.filter(pl.col("ranking") == "last first", pl.col("removed") == 1)
    assert scores["loss_change"][2] == last["loss_change"].item()
    spearman = done.findings.more["associations"]
    by_hand = scores.select(pl.corr("block_influence", "loss_change", method="spearman")).item()
    assert spearman.filter(pl.col("ranking") == "block influence")["spearman"].item() == pytest.approx(by_hand)


def test_the_layers_file_says_of_each_number_what_it_is(done: Conducted) -> None:
    content = json.loads((done.request.folder / "layers.json").read_text())
    assert content["schema"] == 1
    assert {row["formula"] for row in content["rows"]} == set(content["formulas"])
    scores = {row["block"]: row for row in done.findings.more["scores"].rows(named=True)}
    for row in content["rows"]:
        assert set(row) == {
            "layer", "formula", "value", "model", "model_fingerprint", "blocks", "dataset", "texts",
        }  # fmt: skip
        if row["formula"] == "block-influence":
            assert row["value"] == scores[int(row["layer"])]["block_influence"]
    directions = [row["value"] for row in content["rows"] if row["formula"] == "directions-90"]
    kept = done.findings.more["directions"].filter(pl.col("share") == 0.9)
    assert directions == kept["directions"].to_list()
    assert kept["layer"].to_list() == ["0", "1", "2", "last"]
    assert len({row["texts"] for row in content["rows"]}) == 3  # ranking, compared on, both


def test_again_no_weights_are_loaded(done: Conducted, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_weights(*_: object) -> None:
        raise AssertionError("weights were loaded again")

    monkeypatch.setattr("rankscope.studies.compression.workbench.load_model", no_weights)
    options = StudyOptions(done.request.models, done.request.data, remove=2)
    again = conduct("compression", options, output=done.request.folder, settings=SETTINGS)
    assert again.findings.table.equals(done.findings.table)
    for name, table in done.findings.more.items():
        assert again.findings.more[name].equals(table)


def test_only_what_is_missing_is_computed(done: Conducted, monkeypatch: pytest.MonkeyPatch) -> None:
    from rankscope.studies.compression import workbench

    (missing,) = done.request.folder.glob("runs/*-without-2-????????????????.parquet")
    missing.unlink()
    counted: list[int] = []
    measure = workbench.measure_batches
    monkeypatch.setattr(workbench, "measure_batches", lambda *args: (counted.append(1), measure(*args))[1])
    options = StudyOptions(done.request.models, done.request.data, remove=2)
    again = conduct("compression", options, output=done.request.folder, settings=SETTINGS)
    assert len(counted) == 1
    assert again.findings.table.equals(done.findings.table)


def test_a_damaged_file_is_named(done: Conducted) -> None:
    file = next(done.request.folder.glob("runs/*-without-1-????????????????.parquet"))
    content = file.read_bytes()
    file.write_bytes(content[:50])
    options = StudyOptions(done.request.models, done.request.data, remove=2)
    with pytest.raises(RunFolderError, match=file.name):
        conduct("compression", options, output=done.request.folder, settings=SETTINGS)
    file.write_bytes(content)


def test_its_figures_have_a_panel_for_each_number(done: Conducted) -> None:
    files = set(write_study(done))
    assert {"figure.svg", "figure.html", "scores.md", "rounding.csv", "directions.csv"} <= files
    svg = (done.request.folder / "figure.svg").read_text()
    for said in ("Blocks removed, by ranking", "Each block", "Weights rounded", "Directions that hold"):
        assert said in svg


def test_variants_are_compared_with_the_model_on_the_same_tokens(data: str, tmp_path: Path) -> None:
    model, same_weights = save_gguf(tmp_path)
    other = tmp_path / "other"
    network = AutoModelForCausalLM.from_pretrained(model)
    with torch.no_grad():
        network.model.layers[1].mlp.down_proj.weight.mul_(-4)
    network.save_pretrained(other)
    AutoTokenizer.from_pretrained(model).save_pretrained(other)
    options = StudyOptions((str(model),), (data,), variants=(str(same_weights), str(other)))
    one = conduct("compression", options, output=tmp_path / "study", settings=SETTINGS)
    same, different = one.findings.more["variants"].rows(named=True)
    assert (same["variant"], different["variant"]) == (str(same_weights), str(other))
    assert abs(same["loss_change"]) < 1e-6
    texts = judged(data)
    by_hand = mean_loss(network, model, texts)
    network.model.layers[1].mlp.down_proj.weight.data.div_(-4)
    assert different["loss_change"] == pytest.approx(by_hand - mean_loss(network, model, texts), abs=1e-5)
    assert abs(different["loss_change"]) > 1e-3
    assert sum("compared with" in sentence for sentence in one.findings.sentences) == 2


def refused(folder: Path, *, limit: int | None = None, engine: str = "local", **options: Any) -> CallError:
    asked = {"output": folder / "study", "settings": SETTINGS, "limit": limit, "engine": engine}
    with pytest.raises(CallError) as error:
        conduct("compression", StudyOptions(**options), **asked)
    assert not (folder / "study").exists()
    return error.value


def test_wrong_calls_are_refused_before_anything_is_measured(tiny_folder: Path, data: str, tmp_path: Path) -> None:
    model, more = str(tiny_folder), {"models": (str(tiny_folder),), "data": (data,)}
    assert "write also needs remove" in str(refused(tmp_path, **more, write=tmp_path / "smaller"))
    assert "remove" in str(refused(tmp_path, **more, remove=0))
    assert "omit engine 'ray'" in str(refused(tmp_path, **more, engine="ray"))
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "file").touch()
    error = refused(tmp_path, **more, remove=1, write=tmp_path / "used")
    assert isinstance(error, RunFolderError)
    assert "needs exactly one model and one data set" in str(
        refused(tmp_path, models=(model, "pico-0.1m"), data=(data,), variants=("pico-0.1m",))
    )
    error = refused(tmp_path, **more, remove=3)
    assert isinstance(error, ModelError)
    assert "has 3 blocks" in str(error)
    error = refused(tmp_path, **more, limit=3)
    assert isinstance(error, DataError)
    assert "too few: one in 3 ranks blocks" in str(error)


def test_a_variant_that_is_another_model_is_refused(tiny_folder: Path, data: str, tmp_path: Path) -> None:
    options = StudyOptions((str(tiny_folder),), (data,), variants=("pico-0.1m",))
    with pytest.raises(SettingsError, match="variant must be the same model with other weights"):
        conduct("compression", options, output=tmp_path / "study", settings=SETTINGS)
