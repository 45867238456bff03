from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from rankscope.models import describe_model, parse_model_reference
from rankscope.models.checkpoints import checkpoints_in, step_in_state, tokenizer_above, why_unfinished
from tiny import save_tiny, tiny_model, tiny_tokenizer


def damage(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-100])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda folder: None, None),
        (lambda folder: (folder / "config.json").unlink(), "no config.json"),
        (lambda folder: (folder / "model.safetensors").unlink(), "no weights"),
        (lambda folder: damage(folder / "model.safetensors"), "model.safetensors is cut off"),
        (lambda folder: (folder / "model.safetensors").write_bytes(b""), "model.safetensors is cut off"),
        (lambda folder: (folder / "model.safetensors").write_bytes(b"\x05" + bytes(7) + b"[1,2]"), "is cut off"),
        (lambda folder: (folder / "pytorch_model.bin").write_bytes(b"PK\x03\x04half"), "pytorch_model.bin is cut off"),
        (
            lambda folder: (folder / "model.safetensors.index.json").write_text('{"weight_map": {"a": "model-9.x"}}'),
            "model-9.x is missing",
        ),
        (lambda folder: (folder / "model.safetensors.index.json").write_text("{"), "index.json is cut off"),
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
