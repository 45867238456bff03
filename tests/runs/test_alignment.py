from __future__ import annotations

import io
import json
import math
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch
from PIL import Image

import rankscope
from oracle import oracle_entropy
from rankscope.errors import LayerError, RunFolderError, SettingsError
from rankscope.measuring.pairs import partners
from rankscope.metrics import modality_integration_rate
from rankscope.models import Placement
from rankscope.models.vision_language import (
    describe_vision_language_model,
    encode_text,
    image_input,
    text_input,
    watch_forward,
    with_text,
)
from rankscope.runs import Lines, Run, align, compare, merge
from tiny import SENTENCES
from tiny_minigpt import save_tiny_minigpt
from tiny_vision import photograph, save_tiny_vision

pytestmark = pytest.mark.slow

COUNT = 10


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(save_tiny_vision(tmp_path_factory.mktemp("vlm") / "tiny-llava"))


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("pairs")
    rows = []
    for number in range(COUNT):
        photograph(number).save(folder / f"{number}.png")
        response = SENTENCES[number % len(SENTENCES)]
        rows.append({"id": f"p{number}", "image": f"{number}.png", "instruction": "Look.", "response": response})
    (folder / "pairs.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return str(folder / "pairs.jsonl")


@pytest.fixture(scope="module")
def run(model: str, pairs: str, tmp_path_factory: pytest.TempPathFactory) -> Run:
    controls = ["rotated-90", "shuffled", "blank"]
    return align(model, pairs, output=tmp_path_factory.mktemp("run") / "r", controls=controls, device="cpu")


def test_each_pair_is_measured_as_by_hand(run: Run, model: str, pairs: str) -> None:
    described = describe_vision_language_model(model)
    network = described.load(Placement())
    rows = run.measurements()
    assert rows.height == COUNT * 4
    assert rows["status"].unique().to_list() == ["ok"]
    text = encode_text(described.parts.tokenizer, "Look.", SENTENCES[3], 100)
    turned = photograph(3).transpose(Image.Transpose.ROTATE_270)
    for control, picture in (
        ("base", photograph(3)),
        ("rotated-90", turned),
        ("shuffled", photograph(partners(COUNT)[3])),
    ):
        image = image_input(described.family, described.parts, picture, text.leading)
        both = with_text(image, text, described.parts.config.image_token_id)
        seen = [watch_forward(network, described.family, one) for one in (image, text_input(text), both)]
        hidden = [seen[0].after_encoder, seen[0].after_connector, *(one.hidden for one in seen)]
        row = rows.row(by_predicate=(pl.col("text_id") == "p3") & (pl.col("control") == control), named=True)
        ranks = [math.exp(oracle_entropy(states)) for states in hidden]
        assert [row[f"erank{place}"] for place in range(1, 6)] == pytest.approx(ranks, rel=1e-5)
        assert [row[f"n_tokens{place}"] for place in range(1, 6)] == [len(states) for states in hidden]
        assert row["image_reduction_ratio"] == pytest.approx((ranks[0] - ranks[1]) / ranks[0], rel=1e-4)
        assert row["image_text_alignment"] == pytest.approx(sum(ranks[2:]) / 3 / max(ranks[2:]), rel=1e-5)
        assert row["loss"] == pytest.approx(seen[2].loss)


def test_the_integration_rate_is_that_of_all_tokens_at_once(run: Run, model: str) -> None:
    described = describe_vision_language_model(model)
    network = described.load(Placement())
    layers: dict[tuple[str, int], list[torch.Tensor]] = {}
    for number in range(COUNT):
        text = encode_text(described.parts.tokenizer, "Look.", SENTENCES[number % len(SENTENCES)], 100)
        image = image_input(described.family, described.parts, photograph(number), text.leading)
        both = with_text(image, text, described.parts.config.image_token_id)

        def keep(layer: int, hidden: torch.Tensor, both: Any = both) -> None:
            layers.setdefault(("vision", layer), []).append(hidden[both.image])
            layers.setdefault(("text", layer), []).append(hidden[~both.image])

        watch_forward(network, described.family, both, keep)
    vision, text_tokens = ([torch.cat(layers[kind, layer]) for layer in (1, 2, 3)] for kind in ("vision", "text"))
    expected = float(modality_integration_rate(vision, text_tokens))
    assert run.summary_rows()[0]["modality_integration_rate"] == pytest.approx(expected, rel=1e-9)


def test_the_summary_has_the_contract_s_keys(run: Run) -> None:
    rows = run.summary_rows()
    assert [row["control"] for row in rows] == ["base", "rotated-90", "shuffled", "blank"]
    keys = {"model", "dataset", "texts", "skipped", *(f"erank{n}" for n in range(1, 6))}
    keys |= {
        f"{ratio}{end}" for ratio in ("image_reduction_ratio", "image_text_alignment") for end in ("", "_low", "_high")
    }
    for row in rows:
        assert keys <= set(row)
        assert (row["texts"], row["skipped"]) == (COUNT, 0)
    assert rows[1]["erank4_change"] == 0
    assert rows[3]["erank1_change"] == pytest.approx(rows[3]["erank1"] - rows[0]["erank1"])
    assert rankscope.align is align


def test_a_stopped_run_goes_on_to_the_same_numbers(
    run: Run, model: str, pairs: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class StopError(Exception): ...

    class StopsAfterOne(Lines):
        def advance(self, done: int, *, computed: bool) -> None:
            raise StopError

    options: dict[str, Any] = {"output": tmp_path / "r", "control": "rotated-90,shuffled,blank", "device": "cpu"}
    with pytest.raises(StopError):
        align(model, pairs, progress=StopsAfterOne(io.StringIO()), **options)
    assert Run(tmp_path / "r").measurements().height == 8 * 4
    with pytest.raises(RunFolderError, match="not finished"):
        Run(tmp_path / "r").summary_rows()
    again = align(model, pairs, **options)
    assert again.measurements().equals(run.measurements())
    assert again.summary_rows() == run.summary_rows()
    monkeypatch.setattr("rankscope.models.vision_language.loading.load_weights", None)  # nothing is left to load for
    assert align(model, pairs, **options).summary_rows() == run.summary_rows()
    with pytest.raises(RunFolderError, match="control is"):
        align(model, pairs, **options | {"control": "blank"})


def test_what_cannot_be_measured_is_skipped_with_its_reason(model: str, tmp_path: Path) -> None:
    photograph().save(tmp_path / "fine.png")
    (tmp_path / "broken.png").write_bytes(b"nothing")
    long = " ".join(SENTENCES * 6)
    rows = [
        ("fine.png", "A text of some words."),
        ("gone.png", "Words and more words."),
        ("broken.png", "Words."),
        ("fine.png", "An <image> in the text."),
        ("fine.png", ""),
        ("fine.png", long),
        ("fine.png", "x"),
        ("fine.png", "Other words here."),
    ]
    lines = [json.dumps({"image": image, "response": response}) for image, response in rows]
    (tmp_path / "p.jsonl").write_text("\n".join(lines))
    run = align(model, str(tmp_path / "p.jsonl"), output=tmp_path / "r", device="cpu")
    found = run.measurements()
    assert found["reason"].to_list() == [
        None, "no such image file", "not an image", "the text holds the image token", "no text",
        "longer than the model's 512 positions", "representation 4: one token", None,
    ]  # fmt: skip
    (row,) = run.summary_rows()
    assert (row["texts"], row["skipped"]) == (2, 6)
    ranks = found.filter(pl.col("status") == "ok")["matrix_entropy1"].to_list()
    assert row["erank1"] == pytest.approx(math.exp(sum(ranks) / 2))


def test_all_pairs_unusable_gives_nulls(model: str, tmp_path: Path) -> None:
    (tmp_path / "p.jsonl").write_text(json.dumps({"image": "gone.png", "response": "Some words."}))
    (row,) = align(model, str(tmp_path / "p.jsonl"), output=tmp_path / "r", device="cpu").summary_rows()
    assert (row["texts"], row["skipped"], row["erank1"], row["modality_integration_rate"]) == (0, 1, None, None)


def test_states_that_are_not_finite_are_an_error(model: str, pairs: str, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = save_tiny_vision(tmp_path / "broken")
    weights = load_file(folder / "model.safetensors")
    name = next(name for name in weights if "multi_modal_projector.linear_2.bias" in name)
    weights[name][:] = float("nan")
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(LayerError, match=r"pair 'p0', base: representation 2"):
        align(str(folder), pairs, output=tmp_path / "r", device="cpu", limit=1)


def test_minigpt_v2_says_what_it_does_not_use(pairs: str, tmp_path: Path) -> None:
    stream = io.StringIO()
    reference = save_tiny_minigpt(tmp_path)
    run = align(reference, pairs, output=tmp_path / "r", device="cpu", limit=2, progress=Lines(stream))
    (row,) = run.summary_rows()
    assert (row["model"], row["texts"], row["image_tokens"]) == (reference, 2, 2 * 16)
    assert "minigpt-v2: head.weight is not part of the model" in stream.getvalue()


def test_wrong_calls(model: str, pairs: str, run: Run, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="at least one model"):
        align([], pairs)
    with pytest.raises(SettingsError, match="duplicate "):
        align([model, model], pairs)
    with pytest.raises(rankscope.RankscopeError, match="did you mean rotated-90"):
        align(model, pairs, control="rotated90")
    with pytest.raises(rankscope.RankscopeError, match="unknown setting 'kontrol'"):
        align(model, pairs, kontrol="blank")
    with pytest.raises(RunFolderError, match="made by align"):
        compare(run)


def test_no_pair_is_its_own_partner() -> None:
    for count in (2, 3, 17):
        assert sorted(partners(count)) == list(range(count))
        assert all(one != other for one, other in enumerate(partners(count)))


def test_edited_models_and_pictures_are_refused_with_what_changed(tmp_path: Path) -> None:
    model = save_tiny_vision(tmp_path / "vlm")
    photograph().save(tmp_path / "one.png")
    data = tmp_path / "pairs.jsonl"
    data.write_text(json.dumps({"image": "one.png", "instruction": "Look.", "response": SENTENCES[0]}) + "\n")

    def measure() -> Run:
        return align(str(model), str(data), output=tmp_path / "run", device="cpu", integration_items=0)

    def refused(file: Path, content: bytes, message: str) -> None:
        given = file.read_bytes()
        assert content != given
        file.write_bytes(content)
        with pytest.raises(RunFolderError, match=message):
            measure()
        file.write_bytes(given)

    before = measure().measurements()
    weights = bytearray((model / "model.safetensors").read_bytes())
    weights[len(weights) // 2] ^= 1
    refused(model / "model.safetensors", bytes(weights), "with other weights of .*vlm: model.safetensors has changed")
    (processor,) = model.glob("*processor_config.json")
    other = processor.read_bytes().replace(b"0.5", b"0.4") if b"0.5" in processor.read_bytes() else None
    changed = json.loads(processor.read_text())
    inner = changed.get("image_processor", changed)
    inner["image_mean"] = [0.1, 0.2, 0.3]
    refused(processor, other or json.dumps(changed).encode(), "with another image processor of .*vlm: image processor")
    picture = io.BytesIO()
    photograph(7).save(picture, "PNG")
    refused(tmp_path / "one.png", picture.getvalue(), "on other pairs of pairs.jsonl: they have changed since")
    assert measure().measurements().equals(before)


def test_other_token_ids_of_pairs_are_refused(
    model: str, pairs: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    align(model, pairs, output=tmp_path / "run", device="cpu", limit=2, integration_items=0)
    monkeypatch.setattr("rankscope.measuring.pairs.encode_text", lambda *a: encode_text(*a[:3], 3))
    with pytest.raises(RunFolderError, match="the texts of 00-tiny-llava_.* have different tokens than"):
        align(model, pairs, output=tmp_path / "run", device="cpu", limit=2, integration_items=0)


def test_the_files_that_pico_vlm_shares_belong_to_its_fingerprint() -> None:
    weights = describe_vision_language_model("pico-vlm@step-0").parts_of_fingerprint.weights
    assert len(weights) == 3
    assert "tower.safetensors" in weights


def test_shards_make_the_run_of_one_process(run: Run, model: str, pairs: str, tmp_path: Path) -> None:
    """Rates are over all pairs: a merge joins these, and the command without a shard measures the rates."""
    call = {"controls": ["rotated-90", "shuffled", "blank"], "device": "cpu"}
    for number in range(3):
        align(model, pairs, output=tmp_path / str(number), shard=f"{number}/3", **call)
    with pytest.raises(
        RunFolderError, match=r"contains all pairs, but not the integration rate of .*align command with"
    ):
        merge([tmp_path / str(number) for number in range(3)], tmp_path / "whole")
    with pytest.raises(RunFolderError, match="not the integration rate"):
        Run(tmp_path / "whole").summary()
    whole = align(model, pairs, output=tmp_path / "whole", **call)
    assert whole.measurements().equals(run.measurements())
    assert whole.summary_document() == run.summary_document()
