from __future__ import annotations

import json
import math
import re
import shutil
import time
from pathlib import Path

import polars as pl
import pytest
import torch
from polars.testing import assert_frame_equal
from transformers import AutoModel, AutoModelForCausalLM, AutoTokenizer

import rankscope as rs
from oracle import oracle_entropy, oracle_spectrum
from processes import kill, started, wait_until
from rankscope.errors import LayerError, ModelError, RunFolderError, SettingsError, UnknownNameError
from rankscope.measuring import Row
from rankscope.runs.folder import RunFolder
from rankscope.runs.preparation import prepare_each
from rankscope.runs.progress import Silent
from rankscope.settings import Settings
from tiny import SENTENCES, save_tiny, tiny_config, tiny_model, tiny_tokenizer
from tiny_gguf import save_gguf

pytestmark = pytest.mark.slow


@pytest.fixture
def data(tmp_path: Path) -> str:
    path = tmp_path / "texts.jsonl"
    path.write_text("".join(json.dumps({"id": f"s{n}", "text": text}) + "\n" for n, text in enumerate(SENTENCES)))
    return str(path)


def evaluate(model: Path | str, data: str, output: Path, **settings: object) -> rs.Run:
    return rs.evaluate(str(model), data, output=output, field="text", **settings)


def test_every_number_equals_one_worked_out_by_hand(tiny_folder: Path, data: str, tmp_path: Path) -> None:
    run = evaluate(tiny_folder, data, tmp_path / "run", layers="0,2,last", untrained_seeds=2)
    measured = run.measurements()
    assert measured.height == len(SENTENCES) * 3 * 3
    tokenizer = AutoTokenizer.from_pretrained(tiny_folder)
    models = {None: AutoModelForCausalLM.from_pretrained(tiny_folder).eval()}
    for seed in (0, 1):
        torch.manual_seed(seed)
        models[seed] = AutoModelForCausalLM.from_config(tiny_config("llama"), dtype=torch.float32).eval()
    for row in measured.rows(named=True):
        ids = torch.tensor([tokenizer(SENTENCES[row["text_index"]]).input_ids])
        with torch.no_grad():
            own = models[row["seed"]](input_ids=ids, labels=ids, output_hidden_states=True)
        hidden = own.hidden_states[{"0": 0, "2": 2, "last": -1}[row["layer"]]][0]
        assert row["text_id"] == f"s{row['text_index']}"
        assert (row["n_tokens"], row["hidden_size"], row["status"]) == (ids.shape[1], 32, "ok")
        entropy, values = oracle_entropy(hidden), oracle_spectrum(hidden)
        assert row["matrix_entropy"] == pytest.approx(entropy, abs=1e-4)
        assert row["effective_rank"] == pytest.approx(math.exp(entropy), rel=1e-4)
        assert row["stable_rank"] == pytest.approx(1 / values[0], rel=1e-4)
        assert row["loss"] == pytest.approx(float(own.loss), abs=1e-4)
    summary = run.summary().filter(pl.col("layer") == "last").row(0, named=True)
    last = measured.filter(pl.col("layer") == "last")
    means = last.group_by("role", "seed").agg(pl.col("matrix_entropy").mean().exp()).sort("seed", nulls_last=False)
    trained, *twins = means["matrix_entropy"].to_list()
    assert summary["effective_rank"] == pytest.approx(trained)
    assert summary["diff_erank"] == pytest.approx(sum(twins) / 2 - trained)
    assert summary["texts"] == len(SENTENCES)


def test_batching_does_not_change_a_texts_numbers(tiny_folder: Path, data: str, tmp_path: Path) -> None:
    one = evaluate(tiny_folder, data, tmp_path / "one", batch_tokens=1, layers="all").measurements()
    many = evaluate(tiny_folder, data, tmp_path / "many", batch_tokens=500, layers="all").measurements()
    assert_frame_equal(one, many, abs_tol=1e-4)


def test_a_model_against_an_equal_one_differs_by_nothing(tmp_path: Path, data: str) -> None:
    folder = tmp_path / "random"
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(tiny_config("llama"), dtype=torch.float32).save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    row = evaluate(folder, data, tmp_path / "run").summary().row(0, named=True)
    assert row["diff_erank"] == 0
    assert row["reduced_loss"] == 0


def test_several_models_and_data_sets(tmp_path: Path, data: str, tiny_folder: Path) -> None:
    other = save_tiny(tmp_path / "tiny-gpt2", "gpt2")
    lines = tmp_path / "lines.txt"
    lines.write_text("\n".join(SENTENCES[:3]))
    run = rs.evaluate(
        [str(tiny_folder), str(other)], [data, str(lines)], output=tmp_path / "run", field="text", untrained_seeds=0
    )
    assert run.summary().select("model", "dataset", "texts").rows() == [
        (str(tiny_folder), "texts.jsonl", 8),
        (str(tiny_folder), "lines.txt", 3),
        (str(other), "texts.jsonl", 8),
        (str(other), "lines.txt", 3),
    ]
    assert "diff_erank" not in run.summary().columns
    assert [model["reference"] for model in run.manifest()["identity"]["models"]] == [str(tiny_folder), str(other)]


def test_skipped_texts_are_counted_with_their_reason(tmp_path: Path, tiny_folder: Path) -> None:
    path = tmp_path / "texts.txt"
    path.write_text("x\n\n" + "\n".join([*SENTENCES[:2], "aaaaaaaa"]))
    run = rs.evaluate(str(tiny_folder), str(path), output=tmp_path / "run", layers="0,last", untrained_seeds=1)
    rows = {row["layer"]: row for row in run.summary().rows(named=True)}
    for layer in ("0", "last"):
        assert (rows[layer]["texts"], rows[layer]["skipped"]) == (2, 3)
    skipped = run.measurements().filter((pl.col("status") == "skipped") & (pl.col("role") == "trained"))
    assert skipped.select("text_id", "layer", "reason").rows() == [
        ("0", "0", "fewer than 2 tokens"),
        ("0", "last", "fewer than 2 tokens"),
        ("4", "0", "equal rows"),
        ("4", "last", "equal rows"),
        ("1", "0", "empty"),
        ("1", "last", "empty"),
    ]
    summary = json.loads((run.path / "summary.json").read_text())
    assert summary["schema"] == 1


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("batch_tokens", [1, 4096])
def test_a_repeated_token_is_skipped_alone_and_in_a_batch(tmp_path: Path, batch_tokens: int, dtype: str) -> None:
    path = tmp_path / "texts.jsonl"
    texts = [" the" * 40, " a" * 64, SENTENCES[0], " the" * 20 + SENTENCES[1]]
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    settings = {"layers": "all", "untrained_seeds": 1, "batch_tokens": batch_tokens, "dtype": dtype}
    measured = evaluate("pico-3m", str(path), tmp_path / "run", **settings).measurements()
    skipped = measured.filter(pl.col("status") == "skipped")
    assert set(skipped["text_index"]) == {0, 1}
    assert set(skipped["reason"]) == {"equal rows"}
    assert skipped.height == 2 * 2 * 6  # texts, roles, layers


def test_only_the_metrics_that_were_asked_for(tmp_path: Path, tiny_folder: Path, data: str) -> None:
    run = evaluate(tiny_folder, data, tmp_path / "run", metrics="effective_rank, stable_rank")
    row = run.measurements().row(0, named=True)
    assert row["effective_rank"] == pytest.approx(math.exp(row["matrix_entropy"]))
    assert row["stable_rank"] is not None
    assert row["matrix_nuclear_norm"] is row["loss"] is None
    assert run.summary().row(0, named=True)["loss"] is None
    losses = evaluate(tiny_folder, data, tmp_path / "losses", metrics="loss").summary().row(0, named=True)
    assert losses["effective_rank"] is losses["diff_erank"] is None
    assert losses["reduced_loss"] == pytest.approx(losses["untrained_loss"] - losses["loss"])


def test_the_eigenvalues_of_the_first_texts_are_kept(tmp_path: Path, tiny_folder: Path) -> None:
    path = tmp_path / "texts.txt"
    path.write_text("\n".join(["x", *SENTENCES, *SENTENCES[:3]]))
    run = rs.evaluate(str(tiny_folder), str(path), output=tmp_path / "run", layers="1,last")
    spectra = run.spectra()
    assert "eigenvalues" not in run.measurements().columns
    assert spectra["text_index"].unique().sort().to_list() == list(range(1, 8))
    assert spectra.select("layer", "role").unique().height == 4
    keys = ["model", "dataset", "text_index", "layer", "role", "seed"]
    of_texts = spectra.group_by(keys, maintain_order=True).agg("eigenvalue", "index", pl.first("n_tokens"))
    joined = of_texts.join(run.measurements(), on=keys, nulls_equal=True)
    assert joined.height == of_texts.height == 7 * 4
    for row in joined.rows(named=True):
        values = row["eigenvalue"]
        assert row["index"] == list(range(1, len(values) + 1))
        assert len(values) <= min(row["n_tokens"] - 1, 32)
        assert values == sorted(values, reverse=True)
        assert sum(values) == pytest.approx(1, abs=1e-5)
        assert -sum(value * math.log(value) for value in values) == pytest.approx(row["matrix_entropy"], abs=1e-5)
    cached = rs.evaluate(str(tiny_folder), str(path), output=tmp_path / "again", layers="1,last")
    assert_frame_equal(cached.spectra(), spectra, check_exact=True)
    losses = rs.evaluate(str(tiny_folder), str(path), output=tmp_path / "losses", metrics="loss")
    assert losses.spectra().is_empty()


def test_texts_longer_than_the_models_positions_are_cut(tmp_path: Path, data: str) -> None:
    folder = save_tiny(tmp_path / "gpt2", "gpt2")
    path = tmp_path / "long.txt"
    path.write_text(" ".join(SENTENCES * 3))
    run = rs.evaluate(str(folder), str(path), output=tmp_path / "run", untrained_seeds=0)
    assert run.measurements()["n_tokens"].to_list() == [128]


def dropout_model(folder: Path) -> Path:
    config = tiny_config("opt")
    config.dropout = 0.5
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return folder


def test_the_papers_protocol_has_dropout_in_the_twin_and_can_be_repeated(tmp_path: Path, data: str) -> None:
    folder = dropout_model(tmp_path / "opt")
    paper = evaluate(folder, data, tmp_path / "paper", protocol="paper").measurements()
    state = torch.random.get_rng_state()
    again = evaluate(folder, data, tmp_path / "again", protocol="paper").measurements()
    assert torch.equal(state, torch.random.get_rng_state())
    default = evaluate(folder, data, tmp_path / "default").measurements()
    assert_frame_equal(paper, again, check_exact=True)
    of = {"paper": paper, "default": default}
    mean = {
        (name, role): frame.filter(pl.col("role") == role)["matrix_entropy"].mean()
        for name, frame in of.items()
        for role in ("trained", "untrained")
    }
    assert mean["paper", "trained"] == pytest.approx(mean["default", "trained"], abs=1e-5)
    assert mean["paper", "untrained"] > mean["default", "untrained"] + 0.03
    # By hand: the twin in train mode, seeded for each text.
    torch.manual_seed(0)
    twin = AutoModel.from_config(AutoModelForCausalLM.from_pretrained(folder).config, dtype=torch.float32).train()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    for row in paper.filter(pl.col("role") == "untrained").rows(named=True):
        torch.manual_seed(0 * 2**32 + row["text_index"])
        with torch.no_grad():
            hidden = twin(torch.tensor([tokenizer(SENTENCES[row["text_index"]]).input_ids]))[0][0]
        assert row["matrix_entropy"] == pytest.approx(oracle_entropy(hidden), abs=1e-5)


def test_bfloat16_is_close_to_float32(tmp_path: Path, data: str, tiny_folder: Path) -> None:
    full = evaluate(tiny_folder, data, tmp_path / "full", untrained_seeds=0).summary()["effective_rank"][0]
    half = evaluate(tiny_folder, data, tmp_path / "half", untrained_seeds=0, dtype="bfloat16").summary()
    assert half["effective_rank"][0] == pytest.approx(full, rel=0.02)
    assert half["effective_rank"][0] != full


def break_layer(folder: Path, value: float) -> Path:
    model = tiny_model("llama")
    with torch.no_grad():
        if math.isfinite(value):
            model.model.norm.weight.fill_(value)
        else:
            model.model.layers[1].mlp.down_proj.weight.fill_(value)
    model.save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return folder


def test_a_layer_of_zeros_or_nan_is_an_error_that_names_it(tmp_path: Path, data: str) -> None:
    with pytest.raises(LayerError, match="layer last, text 's.': all hidden states are zero"):
        evaluate(break_layer(tmp_path / "zeros", 0.0), data, tmp_path / "a")
    with pytest.raises(LayerError, match="layer 2, text 's.': hidden states must be finite"):
        evaluate(break_layer(tmp_path / "nan", math.nan), data, tmp_path / "b", layers="all")


def test_the_same_call_again_computes_nothing(
    tmp_path: Path, data: str, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = evaluate(tiny_folder, data, tmp_path / "run").summary()
    monkeypatch.setattr(
        "rankscope.models.transformers_backend.load_model", lambda *_: pytest.fail("loaded weights for nothing")
    )
    assert evaluate(tiny_folder, data, tmp_path / "run").summary().equals(first)
    assert len(list((tmp_path / "run" / "sessions").iterdir())) == 2


def test_lists_and_numbers_are_the_same_settings_as_texts(tmp_path: Path, data: str, tiny_folder: Path) -> None:
    lists = {"layers": [0, 2], "metrics": ["loss", "stable_rank"], "drop_tokens": 1, "untrained_seeds": None}
    texts = {"layers": "0,2", "metrics": "loss,stable_rank", "drop_tokens": "1", "untrained_seeds": 0}
    first = evaluate(tiny_folder, data, tmp_path / "run", **lists)
    manifest = json.loads((first.path / "manifest.json").read_text())
    again = evaluate(tiny_folder, data, tmp_path / "run", **texts)  # another identity would be refused
    assert_frame_equal(first.measurements(), again.measurements())
    assert manifest["identity"] == again.manifest()["identity"]
    assert {row["layer"] for row in again.summary_rows()} == {"0", "2"}


def test_other_settings_or_changed_weights_are_refused(tmp_path: Path, data: str) -> None:
    folder = save_tiny(tmp_path / "model")
    evaluate(folder, data, tmp_path / "run", untrained_seeds=0, limit=4)
    with pytest.raises(RunFolderError, match="limit is 4 there and 5 in this call"):
        evaluate(folder, data, tmp_path / "run", untrained_seeds=0, limit=5)
    save_tiny(folder, seed=1)
    with pytest.raises(RunFolderError, match=r"other weights of .*/model: model.safetensors has changed"):
        evaluate(folder, data, tmp_path / "run", untrained_seeds=0, limit=4)


def evaluate_slowly(model: str, data: str, arguments: dict) -> None:
    write = RunFolder.write_batch

    def slow(self: RunFolder, *rest: object) -> None:
        time.sleep(0.3)
        write(self, *rest)

    RunFolder.write_batch = slow
    rs.evaluate(model, data, **arguments)


def test_a_killed_run_goes_on_where_it_was(
    tmp_path: Path, data: str, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kill -9 after the third batch; what is there then is not computed again, and the end is the same."""
    arguments = {"output": str(tmp_path / "killed"), "field": "text", "batch_tokens": 40, "layers": "all"}
    parts = tmp_path / "killed" / "measurements" / "parts"
    log = tmp_path / "log"
    with started(evaluate_slowly, str(tiny_folder), data, arguments, log=log) as process:
        wait_until(lambda: len(list(parts.glob("*/*.parquet"))) >= 3, process, log)
        kill(process)
    kept = {part: part.stat().st_mtime_ns for part in parts.glob("*/*.parquet")}
    assert rs.Run(tmp_path / "killed").measurements().height >= 3
    with pytest.raises(RunFolderError, match="is not finished"):
        rs.Run(tmp_path / "killed").summary()
    written: list[tuple[str, int]] = []
    write_batch = RunFolder.write_batch

    def watch(self: RunFolder, unit: str, batch: int, rows: list[Row]) -> None:
        assert all(part.stat().st_mtime_ns == then for part, then in kept.items() if part.exists())
        written.append((unit, batch))
        write_batch(self, unit, batch, rows)

    monkeypatch.setattr(RunFolder, "write_batch", watch)
    run = rs.evaluate(str(tiny_folder), data, **arguments)
    before = {(part.parent.name, int(part.stem)) for part in kept}
    assert not before & set(written)
    written.clear()
    whole = rs.evaluate(str(tiny_folder), data, **(arguments | {"output": str(tmp_path / "whole")}))
    assert before < set(written)
    assert_frame_equal(run.measurements(), whole.measurements(), check_exact=True)
    assert_frame_equal(run.spectra(), whole.spectra(), check_exact=True)
    assert (run.path / "summary.json").read_text() == (whole.path / "summary.json").read_text()


def test_the_default_folder_is_named_by_what_was_asked_for(
    tmp_path: Path, data: str, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run = rs.evaluate(str(tiny_folder), data, field="text", untrained_seeds=0)
    assert run.path.parent == Path("runs")
    assert run.path.name.startswith("tiny-llama_texts.jsonl-")
    assert rs.evaluate(str(tiny_folder), data, field="text", untrained_seeds=0).path == run.path
    assert rs.evaluate(str(tiny_folder), data, field="text", untrained_seeds=0, limit=2).path != run.path


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"limt": 3}, UnknownNameError, "unknown setting 'limt': did you mean limit"),
        ({"metrics": "efective_rank"}, UnknownNameError, "did you mean effective_rank"),
        ({"layers": "lastt"}, UnknownNameError, "did you mean last"),
        ({"protocol": "papper"}, UnknownNameError, "did you mean paper"),
        ({"limit": 0}, SettingsError, "at least 1, got 0"),
        ({"untrained_seeds": -1}, SettingsError, "at least 0, got -1"),
        ({"config_from": "pico", "initializer_range": 0.02}, SettingsError, "give only one of them"),
        ({"initializer_range": 0.0}, SettingsError, "greater than 0, got 0.0"),
        ({"initializer_range": math.nan}, SettingsError, "greater than 0, got nan"),
        ({"protocol": "permuted", "config_from": "pico"}, SettingsError, "omit config_from"),
        ({"config_from": "pico"}, SettingsError, "its model_type is gpt_neox, not llama"),
        ({"protocol": "paper", "dtype": "bfloat16"}, SettingsError, "runs in float32"),
        ({"protocol": "paper", "batch_tokens": 5}, SettingsError, "one text at a time"),
        ({"template": "{text}"}, SettingsError, "give only one of them"),
    ],
)
def test_wrong_settings(
    tmp_path: Path, data: str, tiny_folder: Path, settings: dict, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        evaluate(tiny_folder, data, tmp_path / "run", **settings)
    assert not (tmp_path / "run").exists()


def test_wrong_calls(tmp_path: Path, data: str, tiny_folder: Path) -> None:
    with pytest.raises(SettingsError, match="at least one model"):
        rs.evaluate([], data)
    with pytest.raises(SettingsError, match="duplicate model in"):
        rs.evaluate([str(tiny_folder)] * 2, data, field="text")


def test_smollm2_agrees_with_the_oracle_and_its_twin_with_from_config(
    smollm2_gguf: Path, smollm2_folder: Path, tmp_path: Path
) -> None:
    """A real trained model, from a GGUF file and text to numbers, against the definition in float64."""
    path = tmp_path / "lines.txt"
    path.write_text("\n".join(SENTENCES[:4]))
    tokenizer = AutoTokenizer.from_pretrained(smollm2_folder)
    model = AutoModel.from_pretrained(smollm2_folder).eval()
    run = rs.evaluate(str(smollm2_gguf), str(path), output=tmp_path / "run", config_from=str(smollm2_folder))
    torch.manual_seed(0)
    twin = AutoModel.from_config(model.config, dtype=torch.float32).eval()
    for row in run.measurements().rows(named=True):
        ids = torch.tensor([tokenizer(SENTENCES[row["text_index"]]).input_ids])
        with torch.no_grad():
            hidden = (model if row["role"] == "trained" else twin)(ids)[0][0]
        assert row["matrix_entropy"] == pytest.approx(oracle_entropy(hidden), abs=2e-4)
    row = run.summary().row(0, named=True)
    assert 2 < row["loss"] < 6 < 10 < row["untrained_loss"]
    assert row["effective_rank_untrained"] > row["effective_rank"]  # with the library's 0.02 it is the other way round
    assert row["initializer_range"] == 0.041666666666666664


def test_a_gguf_file_is_measured_without_a_twin_beside_a_folder_with_one(tmp_path: Path, data: str) -> None:
    folder, file = save_gguf(tmp_path)
    run = evaluate_both(folder, file, data, tmp_path / "run", untrained_seeds=2)
    one, other = run.summary_rows()
    assert (one["untrained_seeds"], one["initializer_range"], one["initializer_source"]) == (2, 0.15, "configuration")
    assert other["initializer_source"] == "unknown"
    twins_rank = ("effective_rank_untrained", "diff_erank", "diff_erank_b", "erank_ratio")
    of_twins = (*twins_rank, "untrained_loss", "reduced_loss")
    assert [other[key] for key in (*of_twins, "initializer_range")] == [None] * 7
    assert other["untrained_seeds"] == 0
    assert other["effective_rank"] == pytest.approx(one["effective_rank"], rel=1e-4)
    assert run.measurements().filter(pl.col("role") == "untrained")["model"].unique().to_list() == [str(folder)]
    note = next(note for note in run.notes() if note.name == "initializer-unknown")
    assert note.rows == (f"{file} | texts.jsonl | last",)
    assert {"--config-from", "--initializer-range"} <= set(re.findall(r"--[a-z-]+", note.text))
    models = run.manifest()["identity"]["models"]
    assert [model["initializer"] for model in models] == [{"initializer_range": 0.15}, {}]
    again = rs.evaluate([str(folder), str(file)], data, field="text", output=tmp_path / "run", untrained_seeds=2)
    assert again.summary_rows() == run.summary_rows()


def test_an_initialiser_that_is_given_makes_the_twin_of_a_gguf_file(tmp_path: Path, data: str) -> None:
    folder, file = save_gguf(tmp_path)
    expected = evaluate(folder, data, tmp_path / "folder").summary_rows()[0]
    borrowed = evaluate(file, data, tmp_path / "borrowed", config_from=str(folder)).summary_rows()[0]
    assert borrowed["effective_rank_untrained"] == expected["effective_rank_untrained"]
    assert (borrowed["initializer_range"], borrowed["initializer_source"]) == (0.15, f"--config-from {folder}")
    assumed = evaluate_both(folder, file, data, tmp_path / "assumed", initializer_range=0.02)
    one, other = assumed.summary_rows()
    assert one["effective_rank_untrained"] == other["effective_rank_untrained"] != expected["effective_rank_untrained"]
    assert {row["initializer_source"] for row in (one, other)} == {"flag"}
    assert "initializer-assumed" in [note.name for note in assumed.notes()]
    paper = evaluate(file, data, tmp_path / "paper", protocol="paper", config_from=str(folder)).summary_rows()[0]
    assert paper["effective_rank_untrained"] == pytest.approx(expected["effective_rank_untrained"], rel=1e-4)


def test_other_baselines_need_no_initialiser(tmp_path: Path, data: str) -> None:
    folder, file = save_gguf(tmp_path)
    for settings in ({"protocol": "permuted"}, {"protocol": "revision", "untrained_from": str(folder)}):
        run = evaluate(file, data, tmp_path / settings["protocol"], **settings)
        (row,) = run.summary_rows()
        assert row["diff_erank"] is not None
        assert "initializer_source" not in row
        assert "initializer-unknown" not in [note.name for note in run.notes()]
    assert "diff_erank" not in evaluate(file, data, tmp_path / "none", untrained_seeds=0).summary_rows()[0]


def test_one_configuration_for_models_of_several_shapes(tmp_path: Path, data: str, tiny_folder: Path) -> None:
    folder, file = save_gguf(tmp_path)
    with pytest.raises(SettingsError, match=f"does not fit {tiny_folder}: its num_hidden_layers is 2, not 3"):
        rs.evaluate([str(file), str(tiny_folder)], data, field="text", config_from=str(folder))


def evaluate_both(folder: Path, file: Path, data: str, output: Path, **settings: object) -> rs.Run:
    return rs.evaluate([str(folder), str(file)], data, output=output, field="text", **settings)


def test_a_checkpoint_stands_in_for_the_twin(tmp_path: Path, data: str) -> None:
    run = tmp_path / "run"
    for seed, name in enumerate(("step0", "step9")):
        save_tiny(run / name, seed=seed)
    done = evaluate(f"{run}@step9", data, tmp_path / "out", protocol="revision", untrained_from="@step0")
    start = evaluate(run / "step0", data, tmp_path / "start", untrained_seeds=0).summary().row(0, named=True)
    row = done.summary().row(0, named=True)
    assert row["effective_rank_untrained"] == pytest.approx(start["effective_rank"])
    assert done.manifest()["identity"]["baselines"][0]["reference"] == f"{run}@step0"
    with pytest.raises(SettingsError, match="must be given together"):
        evaluate(run / "step9", data, tmp_path / "x", protocol="revision")
    with pytest.raises(SettingsError, match="has no seeds"):
        evaluate(run / "step9", data, tmp_path / "x", protocol="revision", untrained_from="@step0", untrained_seeds=2)


def test_shuffled_weights_as_a_baseline(tmp_path: Path, data: str, tiny_folder: Path) -> None:
    default = evaluate(tiny_folder, data, tmp_path / "a").summary().row(0, named=True)
    permuted = evaluate(tiny_folder, data, tmp_path / "b", protocol="permuted").summary().row(0, named=True)
    assert permuted["effective_rank"] == default["effective_rank"]
    assert permuted["effective_rank_untrained"] != default["effective_rank_untrained"]


class Said(Silent):
    """Remembers what was said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, message: str) -> None:
        self.lines.append(message)


def test_reading_and_tokenizing_many_texts_tell_how_far_they_are(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "many.jsonl"
    file.write_text("".join(json.dumps({"text": f"text {number}"}) + "\n" for number in range(2500)))

    class Counting(Said):
        def start(self, label: str, total: int, unit: str = "tokens") -> None:
            self.lines.append(f"{label}: {total} {unit}")

        def advance(self, done: int, *, computed: bool) -> None:
            self.lines.append(f"{done} {computed}")

    monkeypatch.setattr("rankscope.runs.preparation._ROWS_OF_A_REMARK", 1000)
    progress = Counting()
    (job,) = prepare_each([str(tiny_folder)], [str(file)], [Settings(field="text")], progress=progress)
    assert progress.lines == ["many.jsonl: 1,000 rows read", "many.jsonl: 2,000 rows read"]
    progress.lines.clear()
    (model,), (texts,) = job.subjects, job.text_sets
    few = job.plan(model.model, texts, progress)
    assert progress.lines == []
    monkeypatch.setattr("rankscope.runs.job._MANY_TEXTS", 2500)
    assert job.plan(model.model, texts, progress) == few
    assert progress.lines == [
        f"{tiny_folder.name} on many.jsonl, tokens: 2500 texts",
        "1000 True",
        "1000 True",
        "500 True",
    ]


def test_cut_texts_are_counted_said_and_noted(tmp_path: Path, data: str, tiny_folder: Path) -> None:
    lengths = [len(tiny_tokenizer()(sentence).input_ids) for sentence in SENTENCES]
    longer = sum(length > 30 for length in lengths)
    said = Said()
    run = evaluate(tiny_folder, data, tmp_path / "cut", max_length=30, progress=said)
    assert f"{tiny_folder.name} on texts.jsonl: {longer} texts are cut to 30 tokens" in said.lines
    assert [(row["texts"], row["cut"]) for row in run.summary_rows()] == [(8, longer)]
    (note,) = [note for note in run.notes() if note.name == "texts-cut"]
    assert note.text.startswith(f"up to {longer} of 8 texts were truncated to the maximum length")
    run = evaluate(tiny_folder, data, tmp_path / "skipped", max_length=30, skip_overlong=True)
    assert [(row["texts"], row["skipped"], row["cut"]) for row in run.summary_rows()] == [(8 - longer, longer, 0)]
    reasons = run.measurements().filter(pl.col("status") == "skipped")["reason"].unique().to_list()
    assert reasons == ["longer than 30 tokens"]
    assert "texts-cut" not in [note.name for note in run.notes()]


def test_what_a_folder_leaves_out_and_bad_rows_are_said(tmp_path: Path, data: str, tiny_folder: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "a.jsonl").write_text(Path(data).read_text() + "broken\n")
    (folder / "LICENSE.txt").write_text("All rights reserved.\n")
    said = Said()
    run = evaluate(tiny_folder, str(folder), tmp_path / "run", on_bad_row="skip", untrained_seeds=0, progress=said)
    assert "data: ignored, not data: LICENSE.txt" in said.lines
    assert any(
        line.startswith(f"data: 1 bad rows skipped, the first at {folder}/a.jsonl:9: not JSON") for line in said.lines
    )
    assert [(row["texts"], row["skipped"]) for row in run.summary_rows()] == [(8, 1)]
    (source,) = run.manifest()["sessions"][0]["sources"]
    assert source == f"{folder} (1 JSON lines file; ignored: LICENSE.txt); all"


def test_conversations_are_measured_through_the_chat_template(tmp_path: Path, tiny_folder: Path) -> None:
    data = tmp_path / "chat.jsonl"
    turns = [{"role": "user", "content": SENTENCES[0]}, {"role": "assistant", "content": SENTENCES[1]}]
    data.write_text(json.dumps({"messages": turns}) + "\n")
    with pytest.raises(ModelError, match="the tokenizer of .* has no chat template: omit --chat"):
        rs.evaluate(str(tiny_folder), str(data), output=tmp_path / "run", chat=True)
    model = tmp_path / "chatty"
    shutil.copytree(tiny_folder, model)
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = (
        "<s>{% for message in messages %}{{ message.role }}: {{ message.content }}</s>{% endfor %}"
    )
    tokenizer.save_pretrained(model)
    run = rs.evaluate(str(model), str(data), output=tmp_path / "run", chat=True, untrained_seeds=0)
    assert run.measurements()["n_tokens"].to_list() == [len(tokenizer.apply_chat_template(turns)["input_ids"])]


def test_windows_make_lengths_equal(tmp_path: Path, data: str, tiny_folder: Path) -> None:
    measured = evaluate(tiny_folder, data, tmp_path / "run", window=20, untrained_seeds=0).measurements()
    ok = measured.filter(pl.col("status") == "ok")
    assert ok["n_tokens"].unique().to_list() == [20]
    assert ok["text_id"][0] == "s0#0"


def test_dropped_tokens_are_left_out_of_representations_only(tmp_path: Path, data: str, tiny_folder: Path) -> None:
    whole = evaluate(tiny_folder, data, tmp_path / "a", untrained_seeds=0).measurements()
    without = evaluate(tiny_folder, data, tmp_path / "b", untrained_seeds=0, drop_tokens="first").measurements()
    assert (whole["n_tokens"] - without["n_tokens"]).unique().to_list() == [1]
    assert without["loss"].to_list() == whole["loss"].to_list()
    tokenizer, model = AutoTokenizer.from_pretrained(tiny_folder), AutoModel.from_pretrained(tiny_folder)
    with torch.no_grad():
        hidden = model(tokenizer(SENTENCES[0], return_tensors="pt").input_ids)[0][0]
    row = without.filter(pl.col("text_id") == "s0").row(0, named=True)
    assert row["matrix_entropy"] == pytest.approx(oracle_entropy(hidden[1:]), abs=1e-4)
    with pytest.raises(SettingsError, match="'first', 'massive'"):
        evaluate(tiny_folder, data, tmp_path / "c", drop_tokens="some")


def test_the_rotated_norm_is_measured_when_it_is_named(tmp_path: Path, data: str, tiny_folder: Path) -> None:
    metrics = "rotated_matrix_nuclear_norm,nuclear_norm"
    run = evaluate(tiny_folder, data, tmp_path / "run", untrained_seeds=0, metrics=metrics)
    row = run.summary().row(0, named=True)
    assert row["rotated_matrix_nuclear_norm"] > 0
    assert row["rotated_matrix_nuclear_norm_low"] <= row["rotated_matrix_nuclear_norm_high"]


def test_ratios_to_noise_stand_beside_each_text(tmp_path: Path, data: str, tiny_folder: Path) -> None:
    run = evaluate(tiny_folder, data, tmp_path / "run", untrained_seeds=0)
    row = run.measurements().row(0, named=True)
    null = rs.noise_value("effective_rank", row["n_tokens"], 32)
    assert row["effective_rank_over_noise"] == pytest.approx(row["effective_rank"] / null)


def test_dropout_widens_the_papers_twin_and_the_note_says_so(tmp_path: Path, data: str) -> None:
    folder = dropout_model(tmp_path / "opt")
    fired = {}
    for protocol in ("paper", "default"):
        run = evaluate(folder, data, tmp_path / protocol, protocol=protocol)
        fired[protocol] = {note.name for note in run.notes()}
    assert "dropout-in-twin" in fired["paper"]
    assert "dropout-in-twin" not in fired["default"]
    summary = json.loads((tmp_path / "paper" / "summary.json").read_text())
    assert {note["name"] for note in summary["notes"]} == fired["paper"]


def test_two_data_sets_of_one_name_are_refused(tmp_path: Path) -> None:
    files = []
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        files.append(tmp_path / folder / "texts.jsonl")
        files[-1].write_text('{"text": "a few words"}\n')
    with pytest.raises(SettingsError, match="duplicate data set in texts.jsonl, texts.jsonl"):
        rs.evaluate("pico-0.1m", [str(file) for file in files], output=tmp_path / "run", field="text")


def test_a_window_beyond_the_positions_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="window is 300 tokens, but pico-0.1m has 256 positions"):
        rs.evaluate("pico-0.1m", "stdlib-docs", output=tmp_path / "run", window=300, limit=2)
