from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from rankscope.models import describe_model, parse_model_reference
from rankscope.models.checkpoints import (
    TrainingStep,
    checkpoints_in,
    step_in_name,
    step_in_state,
    steps_in,
    tokenizer_above,
    training_step,
    why_unfinished,
    why_unreadable,
)
from rankscope.models.pico import pico_checkpoints, pico_family
from rankscope.models.pico_vlm import pico_vlm_family
from tiny import save_tiny, tiny_model, tiny_tokenizer


def damage(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-100])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda folder: None, None),
        (lambda folder: (folder / "config.json").unlink(), "no config.json"),
        (lambda folder: (folder / "model.safetensors").unlink(), "no weights"),
        (lambda folder: damage(folder / "model.safetensors"), "model.safetensors is truncated"),
        (lambda folder: (folder / "model.safetensors").write_bytes(b""), "model.safetensors is truncated"),
        (lambda folder: (folder / "model.safetensors").write_bytes(b"\x05" + bytes(7) + b"[1,2]"), "is truncated"),
        (
            lambda folder: (folder / "pytorch_model.bin").write_bytes(b"PK\x03\x04half"),
            "pytorch_model.bin is truncated",
        ),
        (
            lambda folder: (folder / "model.safetensors.index.json").write_text('{"weight_map": {"a": "model-9.x"}}'),
            "model-9.x is missing",
        ),
        (lambda folder: (folder / "model.safetensors.index.json").write_text("{"), "index.json is truncated"),
    ],
)
def test_why_a_checkpoint_cannot_be_read(tmp_path: Path, change: object, reason: str | None) -> None:
    folder = save_tiny(tmp_path / "checkpoint-1")
    change(folder)
    found = why_unfinished(folder)
    assert found is None if reason is None else reason in str(found)


def test_weights_in_parts_and_of_pytorch_are_whole(tmp_path: Path) -> None:
    tiny_model("llama").save_pretrained(tmp_path / "parts", max_shard_size="20KB")
    assert (tmp_path / "parts" / "model.safetensors.index.json").is_file()
    assert why_unfinished(tmp_path / "parts") is None
    import torch

    folder = tmp_path / "torch"
    tiny_model("llama").config.save_pretrained(folder)
    torch.save(tiny_model("llama").state_dict(), folder / "pytorch_model.bin")
    assert why_unfinished(folder) is None


def test_checkpoints_are_in_the_order_of_their_steps(tmp_path: Path) -> None:
    for step in (100, 5, 20):
        save_tiny(tmp_path / f"checkpoint-{step}")
    (tmp_path / "checkpoint-20" / "model.safetensors").unlink()
    found = checkpoints_in(tmp_path)
    assert found.whole == ("checkpoint-5", "checkpoint-100")
    assert found.unfinished == {"checkpoint-20": "no weights"}
    assert checkpoints_in(tmp_path / "absent").whole == ()


def test_folders_whose_names_say_a_step(tmp_path: Path) -> None:
    names = ("checkpoint-100", "step_20", "epoch=0-step=3", "tmp-checkpoint-7", "checkpoint-8.tmp", ".checkpoint-9")
    for name in (*names, "best", "2024-01-31"):
        (tmp_path / name).mkdir()
    (tmp_path / "checkpoint-55").touch()
    (tmp_path / "step-60").symlink_to(tmp_path / "checkpoint-100")
    assert list(steps_in(tmp_path).items()) == [("epoch=0-step=3", 3), ("step_20", 20), ("checkpoint-100", 100)]
    assert steps_in(tmp_path / "absent") == {}
    assert step_in_name("best") is None


def test_shards_without_their_index_are_unfinished(tmp_path: Path) -> None:
    tiny_model("llama").save_pretrained(tmp_path, max_shard_size="60KB")
    assert why_unfinished(tmp_path) is None
    (tmp_path / "model.safetensors.index.json").unlink()
    assert why_unfinished(tmp_path) == "model.safetensors.index.json is missing"


def test_a_checkpoint_is_readable_with_a_tokenizer_here_or_above(tmp_path: Path) -> None:
    folder = tmp_path / "run" / "epoch=1-step=500"
    tiny_model("llama").save_pretrained(folder)
    assert why_unreadable(folder) == "no tokenizer, here or in the folder above"
    tiny_tokenizer().save_pretrained(folder.parent)
    assert why_unreadable(folder) is None
    assert parse_model_reference(str(folder)).has_tokenizer_above
    (folder / "tokenizer.json").write_text((folder.parent / "tokenizer.json").read_text()[:-3])
    assert why_unreadable(folder) == "tokenizer.json is truncated or damaged"
    (folder / "model.safetensors").unlink()
    assert why_unreadable(folder) == why_unfinished(folder) == "no weights"


@pytest.mark.parametrize(
    ("content", "step"),
    [
        ('{"global_step": 7}', 7), ("", None), ("{", None), ("[]", None), ("{}", None), ('{"global_step": "x"}', None),
        ("[" * 100_000, None),
    ],
)  # fmt: skip
def test_the_step_in_a_trainers_state(tmp_path: Path, content: str, step: int | None) -> None:
    (tmp_path / "trainer_state.json").write_text(content)
    assert step_in_state(tmp_path) == step
    assert step_in_state(tmp_path / "absent") is None


def test_the_tokenizer_of_the_folder_above(tmp_path: Path) -> None:
    tiny_model("llama").save_pretrained(tmp_path / "run" / "checkpoint-5")
    tiny_tokenizer().save_pretrained(tmp_path / "run")
    for text in (f"{tmp_path / 'run'}@checkpoint-5", str(tmp_path / "run" / "checkpoint-5")):
        reference = parse_model_reference(text)
        assert reference.has_tokenizer_above
        assert reference.label == "checkpoint-5"
        assert describe_model(reference).tokenizer.get_vocab() == tiny_tokenizer().get_vocab()
    other = tmp_path / "run" / "other"
    shutil.copytree(tmp_path / "run" / "checkpoint-5", other)
    assert tokenizer_above(other) is None  # a model of its own
    tiny_tokenizer().save_pretrained(tmp_path / "run" / "checkpoint-5")
    assert not parse_model_reference(str(tmp_path / "run" / "checkpoint-5")).has_tokenizer_above
    assert not parse_model_reference("pico").has_tokenizer_above
    assert json.loads((other / "config.json").read_text())


@pytest.mark.parametrize(
    ("reference", "training", "step"),
    [
        ("EleutherAI/pythia-70m@step1000", "EleutherAI/pythia-70m", 1000),
        ("allenai/OLMo@stage1-step1000-tokens2B", "allenai/OLMo", 1000),
        ("owner/model@143000", "owner/model", 143000),
        ("owner/model@step-128", "owner/model", 128),
        ("owner/model@step3000", "owner/model", 3000),
        ("owner/model@checkpoint-3-step-500", "owner/model", 500),
        ("owner/model@2024-01-31-step7", "owner/model", 7),
        ("model@iter_0020", "model", 20),
        ("out/checkpoint-500", "out", 500),
        ("out/checkpoint-500/", "out", 500),
        ("out@checkpoint-500", "out", 500),
        ("checkpoint-500", ".", 500),
        ("/data/me@home/checkpoint-500", "/data/me@home", 500),
        ("/data/out/global_step_70", "/data/out", 70),
        ("global_step500", ".", 500),
        ("step_1000", ".", 1000),
        ("out/epoch=1-step=500", "out", 500),
        ("out/checkpoint_step_500", "out", 500),
        ("out/model-step1000.gguf", "out", 1000),
        ("owner/llama-step1000", "owner/llama", 1000),
        ("pico", "pico", 2048),
        ("pico@step-128", "pico", 128),
        ("pico@overfit", "pico", 2560),
        ("pico-0.4m@overfit", "pico-0.4m", 2560),
        ("pico-vlm@step-8", "pico-vlm", 8),
    ],
)
def test_the_training_and_the_step_of_a_checkpoint(reference: str, training: str, step: int) -> None:
    assert training_step(reference) == TrainingStep(training, step)


@pytest.mark.parametrize("family", [pico_family(), pico_checkpoints(), pico_vlm_family()])
def test_every_pico_model_has_the_step_of_its_record(family: tuple) -> None:
    for model in family:
        assert training_step(model.name) == TrainingStep(model.name.partition("@")[0], model.step)


@pytest.mark.parametrize(
    "reference",
    [
        "owner/m@2024-01-31",
        "owner/m@20240131",
        "owner/m@checkpoint-2024_01_31",
        "owner/m@step-20240131",
        "owner/m@v2",
        "owner/m@v1.0",
        "owner/m@main",
        "owner/m@refs/pr/1",
        "owner/m@5f3e8c2b1a0d9e7f6c5b4a3928170615243f4e5d",
        "owner/m@" + "0123456789" * 4,
        "owner/m@tokens2B",
        "owner/m@step-10k",
        "owner/m@step-1.5",
        "owner/m@footstep5",
        "owner/opt-125m",
        "EleutherAI/pythia-70m",
        "pythia-70m",
        "out/500",
        "picot",
        "@",
        "",
        "\0@x",
    ],
)
def test_references_without_a_step(reference: str) -> None:
    assert training_step(reference) is None


def test_the_trainers_state_says_more_than_the_name(tmp_path: Path) -> None:
    for name, step in (("checkpoint-3", 300), ("best", 700), ("checkpoint-9", None)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "trainer_state.json").write_text("" if step is None else json.dumps({"global_step": step}))
    for mark in "@/":
        assert training_step(f"{tmp_path}{mark}checkpoint-3") == TrainingStep(str(tmp_path), 300)
        assert training_step(f"{tmp_path}{mark}checkpoint-9") == TrainingStep(str(tmp_path), 9)
    assert training_step(f"{tmp_path}@best") == TrainingStep(str(tmp_path), 700)
    (tmp_path / "trainer_state.json").write_text('{"global_step": 900}')  # the model at the end
    assert training_step(str(tmp_path)) == TrainingStep(str(tmp_path), 900)
